#!lua flags=allow-oom
-- Gives those entries that are still ours to another consumer, in place; the delivery that ends so is not counted.
-- ARGV: consumer, the consumer that gets them, their new idle time in ms, then stream, group and id for each entry.
local consumer, heir, idle_ms = ARGV[1], ARGV[2], ARGV[3]
for i = 4, #ARGV, 3 do
  local stream, group, id = ARGV[i], ARGV[i + 1], ARGV[i + 2]
  local pending = redis.pcall('XPENDING', stream, group, id, id, 1)
  if not pending.err and pending[1] and pending[1][2] == consumer then
    local deliveries = math.max(0, pending[1][4] - 1)
    redis.call('XCLAIM', stream, group, heir, 0, id, 'IDLE', idle_ms, 'RETRYCOUNT', deliveries, 'JUSTID')
  end
end
