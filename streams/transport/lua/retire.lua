#!lua flags=allow-oom
-- Removes the names of consumers that were idle for long and have nothing pending; with entries they would be lost.
-- A living one that is removed comes back with its next read, and has lost nothing.
-- ARGV: group, idle time in ms, then the streams.
-- Returns the names that were removed.
local group, idle_ms, removed = ARGV[1], tonumber(ARGV[2]), {}
for i = 3, #ARGV do
  local consumers = redis.pcall('XINFO', 'CONSUMERS', ARGV[i], group)
  for _, known in ipairs(consumers.err and {} or consumers) do
    -- name, pending, idle: in this order on every server.
    if known[4] == 0 and known[6] >= idle_ms then
      redis.call('XGROUP', 'DELCONSUMER', ARGV[i], group, known[2])
      removed[#removed + 1] = known[2]
    end
  end
end
return removed
