#!lua flags=allow-oom
-- One page of the delayed entries of a lane. Read here, since the members are packed by cmsgpack, which knows no UTF-8.
-- ARGV: the sorted set, the lane, offset, how many to look at.
-- Returns how many were looked at, then {unique id, {field, value, ...}} for those that belong to the lane.
local members = redis.call('ZRANGE', ARGV[1], ARGV[3], ARGV[3] + ARGV[4] - 1)
local found = {}
for _, member in ipairs(members) do
  local readable, delayed = pcall(cmsgpack.unpack, member)
  if readable and type(delayed) == 'table' and delayed[1] == ARGV[2] then
    found[#found + 1] = {delayed[2], delayed[3]}
  end
end
return {#members, found}
