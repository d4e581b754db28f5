#!lua flags=allow-oom
-- Ends deliveries, each on its own: checks that the entry is still ours, publishes, delays, acknowledges.
-- Safe under repetition: the second time the entry is not pending any more, so nothing is published twice.
-- ARGV: consumer, the sorted set of delayed entries, and one list packed by msgpack, which is cheaper than as many
--   arguments: for each stream and group: stream, group, number of settlements; then for each of these: id,
--   number of publications; then for each: stream, number of fields and values, these;
--   then delay in ms, -1 for none; then, if there is one: lane, unique id, number of fields and values, these.
-- Returns place (from 1) and status, alternating, of those that were not settled: lost, gone, or the server's error;
--   an error undoes nothing that went before.
local consumer, later, batch = ARGV[1], ARGV[2], cmsgpack.unpack(ARGV[3])
local call, try, concat = redis.call, redis.pcall, unpack
-- What Lua can hand to one command is a little more.
local MOST_ARGUMENTS = 7900
-- Of ours, looked at together; those beyond are looked up one by one.
local MOST_PENDING = 1000
local at, place, refusals = 1, 0, {}

local function ours(stream, group)
  local found = {}
  local pending = try('XPENDING', stream, group, '-', '+', MOST_PENDING, consumer)
  if not pending.err then
    for _, row in ipairs(pending) do found[row[1]] = true end
  end
  return found
end

local function why_not_ours(stream, group, id, mine)
  -- Settled by this very call.
  if mine[id] == false then return 'gone' end
  local pending = try('XPENDING', stream, group, id, id, 1)
  if pending.err then return string.sub(pending.err, 1, 7) == 'NOGROUP' and 'gone' or pending.err end
  if not pending[1] then return 'gone' end
  return pending[1][2] ~= consumer and 'lost' or nil
end

-- Publishes what stands at `at` and moves on behind it, also when it does nothing; returns the first refusal.
local function publish(refused)
  local count = batch[at]
  at = at + 1
  for _ = 1, count do
    local first, size = at + 2, batch[at + 1]
    if not refused then
      if size > MOST_ARGUMENTS then
        refused = 'ERR more fields than a script can pass on'
      else
        local reply = try('XADD', batch[at], '*', concat(batch, first, first + size - 1))
        refused = type(reply) == 'table' and reply.err
      end
    end
    at = first + size
  end
  return refused
end

-- Likewise.
local function delay(refused)
  local delay_ms = batch[at]
  at = at + 1
  if delay_ms < 0 then return refused end
  local lane, unique_id, first, size = batch[at], batch[at + 1], at + 3, batch[at + 2]
  at = first + size
  if refused then return refused end
  if size > MOST_ARGUMENTS then return 'ERR more fields than a script can pass on' end
  local now = call('TIME')
  local due_ms = now[1] * 1000 + math.floor(now[2] / 1000) + delay_ms
  local member = cmsgpack.pack({lane, unique_id, {concat(batch, first, first + size - 1)}})
  local reply = try('ZADD', later, string.format('%.0f', due_ms), member)
  return type(reply) == 'table' and reply.err
end

while batch[at] do
  local stream, group, count = batch[at], batch[at + 1], batch[at + 2]
  local mine, done = ours(stream, group), {}
  at = at + 3
  for _ = 1, count do
    local id = batch[at]
    at, place = at + 1, place + 1
    local refused = delay(publish(not mine[id] and why_not_ours(stream, group, id, mine)))
    if refused then
      refusals[#refusals + 1] = place
      refusals[#refusals + 1] = refused
    else
      mine[id] = false
      done[#done + 1] = id
    end
  end
  if #done > 0 then call('XACK', stream, group, concat(done)) end
end
return refusals
