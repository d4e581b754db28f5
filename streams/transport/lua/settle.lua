#!lua flags=allow-oom
-- Ends deliveries, each on its own: checks that the entry is still ours, publishes, delays, acknowledges.
-- Safe under repetition: the second time the entry is not pending any more, so nothing is published twice.
-- ARGV: consumer, the sorted set of delayed entries, then for each settlement:
--   stream, group, id,
--   delay in ms, or '' for none; then, if there is one: lane, unique id, number of fields and values, these,
--   number of publications; then for each: stream, number of fields and values, these.
-- Returns one status each: settled, lost, gone, or the server's error; an error undoes nothing that went before.
local consumer, later = ARGV[1], ARGV[2]
-- What Lua can hand to one command is a little more.
local MOST_ARGUMENTS = 7900
local at = 2

local function argument()
  at = at + 1
  return ARGV[at]
end

local function flat_fields(list)
  for _ = 1, tonumber(argument()) do list[#list + 1] = argument() end
  return list
end

local function delayed()
  local delay_ms = argument()
  if delay_ms == '' then return nil end
  local lane, unique_id = argument(), argument()
  return tonumber(delay_ms), cmsgpack.pack({lane, unique_id, flat_fields({})})
end

local function publications()
  local commands = {}
  for n = 1, tonumber(argument()) do commands[n] = flat_fields({argument(), '*'}) end
  return commands
end

local function owner(stream, group, id)
  local pending = redis.pcall('XPENDING', stream, group, id, id, 1)
  if pending.err then return nil, pending.err end
  return pending[1] and pending[1][2]
end

local function delay(delay_ms, member)
  local now = redis.call('TIME')
  local due_ms = now[1] * 1000 + math.floor(now[2] / 1000) + delay_ms
  return redis.pcall('ZADD', later, string.format('%.0f', due_ms), member)
end

local function append(command)
  if #command > MOST_ARGUMENTS then return {err = 'ERR more fields than a script can pass on'} end
  return redis.pcall('XADD', unpack(command))
end

local function failure(reply)
  return type(reply) == 'table' and reply.err
end

local function settle()
  local stream, group, id = argument(), argument(), argument()
  local delay_ms, member = delayed()
  local commands = publications()
  local owned_by, problem = owner(stream, group, id)
  if problem and string.sub(problem, 1, 7) ~= 'NOGROUP' then return problem end
  if not owned_by then return 'gone' end
  if owned_by ~= consumer then return 'lost' end
  for _, command in ipairs(commands) do
    local refused = failure(append(command))
    if refused then return refused end
  end
  local refused = delay_ms and failure(delay(delay_ms, member))
  if refused then return refused end
  redis.call('XACK', stream, group, id)
  return 'settled'
end

local statuses = {}
while at < #ARGV do statuses[#statuses + 1] = settle() end
return statuses
