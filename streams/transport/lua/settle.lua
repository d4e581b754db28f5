#!lua flags=allow-oom
-- Ends deliveries, each on its own: checks that the entry is still ours, publishes, delays, acknowledges.
-- Safe under repetition: the second time the entry is not pending any more, so nothing is published twice.
-- ARGV: consumer, the sorted set of delayed entries, then for each stream and group: stream, group, number of
--   settlements; then for each of these: id,
--   delay in ms, or '' for none; then, if there is one: lane, unique id, number of fields and values, these,
--   number of publications; then for each: stream, number of fields and values, these.
-- Returns one status each: settled, lost, gone, or the server's error; an error undoes nothing that went before.
local consumer, later = ARGV[1], ARGV[2]
local call, try, concat = redis.call, redis.pcall, unpack
-- What Lua can hand to one command is a little more.
local MOST_ARGUMENTS = 7900
-- Of ours, looked at together; those beyond are looked up one by one.
local MOST_PENDING = 1000
local at = 3
local statuses = {}

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

local function delay(delay_ms, lane, unique_id, first, last)
  local now = call('TIME')
  local due_ms = now[1] * 1000 + math.floor(now[2] / 1000) + delay_ms
  local member = cmsgpack.pack({lane, unique_id, {concat(ARGV, first, last)}})
  local reply = try('ZADD', later, string.format('%.0f', due_ms), member)
  return type(reply) == 'table' and reply.err
end

-- Publishes what stands at `at` and moves on behind it, also when it does nothing; returns the first refusal.
local function publish(refused)
  local count = tonumber(ARGV[at])
  at = at + 1
  for _ = 1, count do
    local first, size = at + 2, tonumber(ARGV[at + 1])
    if not refused then
      if size > MOST_ARGUMENTS then
        refused = 'ERR more fields than a script can pass on'
      else
        local reply = try('XADD', ARGV[at], '*', concat(ARGV, first, first + size - 1))
        refused = type(reply) == 'table' and reply.err
      end
    end
    at = first + size
  end
  return refused
end

local function settle(stream, group, mine)
  local id, delay_ms, delayed_at = ARGV[at], ARGV[at + 1], at + 2
  at = delayed_at
  if delay_ms ~= '' then at = at + 3 + tonumber(ARGV[at + 2]) end
  local delayed_end = at - 1
  local refused = publish(not mine[id] and why_not_ours(stream, group, id, mine))
  if not refused and delay_ms ~= '' then
    refused = delay(tonumber(delay_ms), ARGV[delayed_at], ARGV[delayed_at + 1], delayed_at + 3, delayed_end)
  end
  if not refused then mine[id] = false end
  statuses[#statuses + 1] = refused or 'settled'
  return not refused and id
end

while at <= #ARGV do
  local stream, group, count = ARGV[at], ARGV[at + 1], tonumber(ARGV[at + 2])
  local mine = ours(stream, group)
  local done = {}
  at = at + 3
  for _ = 1, count do
    local id = settle(stream, group, mine)
    if id then done[#done + 1] = id end
  end
  if #done > 0 then call('XACK', stream, group, concat(done)) end
end
return statuses
