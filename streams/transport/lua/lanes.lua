#!lua flags=allow-oom
-- The lane of each delayed entry, of the first so many.
-- ARGV: the sorted set, how many to look at.
local found = {}
for _, member in ipairs(redis.call('ZRANGE', ARGV[1], 0, ARGV[2] - 1)) do
  local readable, delayed = pcall(cmsgpack.unpack, member)
  if readable and type(delayed) == 'table' then found[#found + 1] = delayed[1] end
end
return found
