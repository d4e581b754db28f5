#!lua flags=allow-oom
-- Removes a consumer's name where it has nothing pending: removing it with entries would drop those for good.
-- ARGV: group, consumer, then the streams.
local group, consumer = ARGV[1], ARGV[2]
for i = 3, #ARGV do
  local consumers = redis.pcall('XINFO', 'CONSUMERS', ARGV[i], group)
  for _, known in ipairs(consumers.err and {} or consumers) do
    if known[2] == consumer and known[4] == 0 then
      redis.call('XGROUP', 'DELCONSUMER', ARGV[i], group, consumer)
    end
  end
end
