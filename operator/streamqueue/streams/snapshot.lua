-- Counters of one queue; nothing is written and no payload leaves the server.
-- KEYS: stream, dead-letter stream, due sorted set, delayed sorted set, set of outboxes.
-- ARGV: group, count cap, consumer cap, consumer that holds parked retries.
-- Reply: see _parse in snapshot.py; -1 and '' stand for "unknown" or "none".
local stream, dlq = KEYS[1], KEYS[2]
local group, cap, consumer_cap, RETRIES = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), ARGV[4]
local PAGE, BYTES = 128, 2000000 -- counting stops at so many bytes read: a script blocks the server

local function fields(flat)
  local map = {}
  for i = 1, #flat, 2 do map[flat[i]] = flat[i + 1] end
  return map
end

-- Ids are two 64-bit numbers; Lua's doubles would round them.
local function before(a, b)
  local a_ms, a_seq = string.match(a, '^(%d+)-(%d+)$')
  local b_ms, b_seq = string.match(b, '^(%d+)-(%d+)$')
  if a_ms ~= b_ms then
    if #a_ms ~= #b_ms then return #a_ms < #b_ms end
    return a_ms < b_ms
  end
  if #a_seq ~= #b_seq then return #a_seq < #b_seq end
  return a_seq < b_seq
end

-- Up to `count` entries after `id`. '(' ranges are 6.2: fetch one more and drop the id itself.
local function after(id, count)
  local page = redis.call('XRANGE', stream, id, '+', 'COUNT', count + 1)
  if page[1] and page[1][1] == id then table.remove(page, 1) elseif page[count + 1] then page[count + 1] = nil end
  return page
end

local function count_after(id)
  local n, bytes = 0, 0
  while n < cap and bytes < BYTES do
    local page = after(id, math.min(PAGE, cap - n))
    if #page == 0 then return n, 'counted' end
    for _, entry in ipairs(page) do
      for _, value in ipairs(entry[2]) do bytes = bytes + #value end
    end
    n = n + #page
    id = page[#page][1]
  end
  if #after(id, 1) == 0 then return n, 'counted' end
  return n, 'saturated'
end

local function undelivered(info, delivered, lag)
  local first, last = info['first-entry'], info['last-entry']
  if info.length == 0 or not first or not before(delivered, last[1]) then return 0, 'drained' end
  if before(delivered, first[1]) then return info.length, 'whole' end
  -- The server's own lag over-reports after a trim before Redis 8; Valkey calls itself 7.2 here.
  local version = redis.REDIS_VERSION_NUM or 0
  if version >= 0x080000 and type(lag) == 'number' and lag > 0 and lag <= info.length then return lag, 'server' end
  return count_after(delivered)
end

-- Milliseconds since when an entry waits: a copy counts from its first enqueue. -1: its id is no time.
local function since(entry)
  for i = 1, #entry[2], 2 do
    if entry[2][i] == 'sq-enqueued-at' then return tonumber(entry[2][i + 1]) or -1 end
  end
  local ms = tonumber(string.match(entry[1], '^%d+'))
  return ms >= 946684800000 and ms or -1
end

local function floor_of(row)
  local delivered = row['last-delivered-id']
  if row.pending == 0 then return delivered end
  local oldest = redis.call('XPENDING', stream, row.name, '-', '+', 1)[1]
  if oldest and before(oldest[1], delivered) then return oldest[1] end
  return delivered
end

-- Groups that still need entries which this one is done with.
local function blockers(rows, mine)
  local names = {}
  if #rows < 2 then return names end
  local floor = floor_of(mine)
  for _, row in ipairs(rows) do
    if #names < 8 and before(floor_of(row), floor) then names[#names + 1] = row.name end
  end
  return names
end

-- Those with work in hand first, and how many there are; and the entries that wait with the consumer that is no worker.
-- Each row begins with name, pending and idle on every server.
local function consumers()
  local out, rest, parked, count = {}, {}, 0, 0
  for _, row in ipairs(redis.call('XINFO', 'CONSUMERS', stream, group)) do
    if row[2] == RETRIES then
      parked = row[4]
    else
      local list = row[4] > 0 and out or rest
      local n = #list
      count = count + 1
      list[n + 1], list[n + 2], list[n + 3] = row[2], row[4], row[6]
    end
  end
  for _, value in ipairs(rest) do out[#out + 1] = value end
  for i = #out, 3 * consumer_cap + 1, -1 do out[i] = nil end
  return out, count, parked
end

-- Idle ms of the oldest entry in a worker's hands; -1 if it hides behind many parked ones.
local function oldest_busy(parked)
  for _, row in ipairs(redis.call('XPENDING', stream, group, '-', '+', parked > 0 and 32 or 1)) do
    if row[2] ~= RETRIES then return row[3] end
  end
  return -1
end

-- How many retries, and how many delayed tasks, are due by now; ms until the next of either, -1 without one.
local function due(now)
  local ready, next_at = {0, 0}, -1
  if redis.call('EXISTS', KEYS[3], KEYS[4]) == 0 then return ready, next_at end
  for i = 1, 2 do
    ready[i] = redis.call('ZCOUNT', KEYS[2 + i], '-inf', now)
    local head = redis.call('ZRANGE', KEYS[2 + i], 0, 0, 'WITHSCORES')[2]
    local wait = head and math.max(0, tonumber(head) - now)
    if wait and (next_at < 0 or wait < next_at) then next_at = wait end
  end
  return ready, next_at
end

-- Entries on their way to other streams. The outbox of a target is named after the set of them.
local function outboxed()
  local count = 0
  for _, target in ipairs(redis.call('SMEMBERS', KEYS[5])) do
    count = count + redis.call('XLEN', string.sub(KEYS[5], 1, -3) .. ':' .. target)
  end
  return count
end

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local dead = redis.pcall('XLEN', dlq)
if type(dead) ~= 'number' then dead = -1 end
local found = redis.pcall('XINFO', 'STREAM', stream)
if found.err then
  local kind = redis.call('TYPE', stream).ok
  if kind ~= 'stream' then return {kind, now, dead, outboxed()} end
  return found
end

local info = fields(found)
local rows, mine = {}, nil
for i, flat in ipairs(redis.call('XINFO', 'GROUPS', stream)) do
  rows[i] = fields(flat)
  if rows[i].name == group then mine = rows[i] end
end
local head = {'stream', now, dead, outboxed(), info.length, #rows, info['entries-added'] or -1}
if not mine then return head end

local delivered = mine['last-delivered-id']
local count, rule = undelivered(info, delivered, mine.lag)
local waiting = count > 0 and (rule == 'whole' and info['first-entry'] or after(delivered, 1)[1]) or nil
local views, workers, parked = {}, 0, 0
if mine.consumers > 0 then views, workers, parked = consumers() end
local pending = mine.pending - parked
local ready, next_due = due(now)
local read = mine['entries-read']

local reply = {
  count, rule, pending, workers, delivered, type(read) == 'number' and read or -1,
  waiting and waiting[1] or '', waiting and since(waiting) or -1, pending > 0 and oldest_busy(parked) or -1,
  views, blockers(rows, mine), parked, ready[1], ready[2], next_due,
}
for _, value in ipairs(reply) do head[#head + 1] = value end
return head
