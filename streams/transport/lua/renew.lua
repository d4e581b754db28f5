#!lua flags=allow-oom
-- Renews the leases of those entries that are still ours; XCLAIM alone would take them from anybody.
-- ARGV: consumer, then stream, group and id for each entry.
-- Returns the places (from 1) of those that are not ours any more.
local consumer, lost = ARGV[1], {}
for i = 2, #ARGV, 3 do
  local stream, group, id = ARGV[i], ARGV[i + 1], ARGV[i + 2]
  local pending = redis.pcall('XPENDING', stream, group, id, id, 1)
  if pending.err or not pending[1] or pending[1][2] ~= consumer then
    lost[#lost + 1] = (i + 1) / 3
  else
    redis.call('XCLAIM', stream, group, consumer, 0, id, 'JUSTID')
  end
end
return lost
