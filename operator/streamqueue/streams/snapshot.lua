-- Counters of one queue; nothing is written and no payload leaves the server.
-- KEYS: stream, dead-letter stream, due sorted set, delayed sorted set, set of outboxes, stream of returns.
-- ARGV: group, count cap, consumer cap, consumer that holds parked retries, 1 for consumers that hold nothing as well.
-- Reply: see _parse in snapshot.py; -1 and '' stand for "unknown" or "none".
local stream, dlq = KEYS[1], KEYS[2]
local mine -- the group's row of XINFO GROUPS
local group, cap, consumer_cap, RETRIES, everyone = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), ARGV[4], ARGV[5] == '1'
local PAGE, BYTES = 128, 2000000 -- counting stops at so many bytes read: a script blocks the server

-- Up to `count` entries after `id`. Ranges without their first id are 6.2; XREAD has always been without it.
local function after(id, count)
  local found = redis.call('XREAD', 'COUNT', count, 'STREAMS', stream, id)
  return found and found[1][2] or {}
end

-- How many entries come after `id`, how that was found, and the first of them.
local function count_after(id)
  local n, bytes, first = 0, 0, nil
  while n < cap and bytes < BYTES do
    local page = after(id, math.min(PAGE, cap - n))
    if #page == 0 then return n, 'counted', first end
    first = first or page[1]
    for _, entry in ipairs(page) do
      for _, value in ipairs(entry[2]) do bytes = bytes + #value end
    end
    n = n + #page
    id = page[#page][1]
  end
  return n, #after(id, 1) == 0 and 'counted' or 'saturated', first
end

-- The same of what the group was not handed yet.
local function undelivered(info, delivered, lag)
  local first, last = info['first-entry'], info['last-entry']
  if info.length == 0 or not first or not before(delivered, last[1]) then return 0, 'drained' end
  if before(delivered, first[1]) then return info.length, 'whole', first end
  -- The server's own lag over-reports after a trim before Redis 8; Valkey calls itself 7.2 here.
  local version = redis.REDIS_VERSION_NUM or 0
  if version >= 0x080000 and type(lag) == 'number' and lag > 0 and lag <= info.length then
    return lag, 'server', redis.call('XRANGE', stream, '(' .. delivered, '+', 'COUNT', 1)[1]
  end
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

-- Groups that still need entries which this one is done with; and the first that they need, where all that is before
-- it is gone, but for the one that retention leaves.
local function blockers(rows, mine, first)
  local names, least = {}, nil
  if #rows < 2 then return names, '' end
  local floor = floor_of(stream, mine)
  for _, row in ipairs(rows) do
    local theirs = #names < 8 and floor_of(stream, row)
    if theirs and before(theirs, floor) then
      names[#names + 1] = row.name
      if not least or before(theirs, least) then least = theirs end
    end
  end
  if not (least and first) or before(first[1], least) then return names, '' end
  local kept = after(least, 1)[1]
  return names, kept and kept[1] or ''
end

-- Who has entries in hand, how many they are, and the entries that wait with the one that is no worker.
-- A row is the consumer's name, its entries, and with `everyone` how long it has been idle.
local function consumers()
  local rows, parked = {}, 0
  if everyone then
    local rest = {}
    -- Each row begins with name, pending and idle on every server.
    for _, row in ipairs(redis.call('XINFO', 'CONSUMERS', stream, group)) do
      local list = row[4] > 0 and rows or rest
      list[#list + 1] = {row[2], row[4], row[6]}
    end
    for _, row in ipairs(rest) do rows[#rows + 1] = row end
  elseif mine.pending > 0 then
    rows = redis.call('XPENDING', stream, group)[4]
  end
  for i, row in ipairs(rows) do
    if row[1] == RETRIES then
      parked = tonumber(row[2])
      table.remove(rows, i)
      break
    end
  end
  local count = #rows
  for i = count, consumer_cap + 1, -1 do rows[i] = nil end
  return rows, count, parked
end

-- The smallest pending id; idle ms of the oldest entry in a worker's hands, -1 if it hides behind many parked ones.
local function oldest_pending(parked)
  local rows = redis.call('XPENDING', stream, group, '-', '+', parked > 0 and 32 or 1)
  for _, row in ipairs(rows) do
    if row[2] ~= RETRIES then return rows[1][1], row[3] end
  end
  return rows[1] and rows[1][1] or '', -1
end

-- How many retries, and how many delayed tasks, are due by now; ms until the next of either, and since when the first
-- that is due has been, -1 without one.
local function due(now)
  local ready, next_at, overdue = {0, 0}, -1, -1
  for i = 1, 2 do
    ready[i] = redis.call('ZCOUNT', KEYS[2 + i], '-inf', now)
    local head = redis.call('ZRANGE', KEYS[2 + i], 0, 0, 'WITHSCORES')[2]
    local wait = head and math.max(0, tonumber(head) - now)
    if wait and (next_at < 0 or wait < next_at) then next_at = wait end
    if head then overdue = math.max(overdue, now - tonumber(head)) end
  end
  return ready[1], ready[2], next_at, overdue
end

-- Entries on their way to other streams. The outbox of a target is named after the set of them.
local function outboxed()
  local count = 0
  for _, target in ipairs(redis.call('SMEMBERS', KEYS[5])) do
    count = count + redis.call('XLEN', string.sub(KEYS[5], 1, -3) .. ':' .. target)
  end
  return count
end

local dead, outbox, retries, delayed, next_due, overdue, returns = 0, 0, 0, 0, -1, -1, 0
if redis.call('EXISTS', dlq, KEYS[3], KEYS[4], KEYS[5], KEYS[6]) > 0 then
  dead = redis.pcall('XLEN', dlq)
  if type(dead) ~= 'number' then dead = -1 end
  outbox = outboxed()
  retries, delayed, next_due, overdue = due(now)
  returns = redis.call('XLEN', KEYS[6])
end
local found = redis.pcall('XINFO', 'STREAM', stream)
if found.err then
  local kind = redis.call('TYPE', stream).ok
  if kind ~= 'stream' then return {kind, now, dead, outbox} end
  return found
end

local info, rows = fields(found), {}
for i, flat in ipairs(redis.call('XINFO', 'GROUPS', stream)) do
  rows[i] = fields(flat)
  if rows[i].name == group then mine = rows[i] end
end
local added = info['entries-added'] or -1
if not mine then return {'stream', now, dead, outbox, info.length, #rows, added} end

local delivered, read = mine['last-delivered-id'], mine['entries-read']
local count, rule, waiting = undelivered(info, delivered, mine.lag)
local views, workers, parked = consumers()
local pending, smallest, idle = mine.pending - parked, '', -1
if mine.pending > 0 then smallest, idle = oldest_pending(parked) end
local first = info['first-entry']
local names, kept = blockers(rows, mine, first)
return {
  'stream', now, dead, outbox, info.length, #rows, added,
  count, rule, pending, workers, delivered, type(read) == 'number' and read or -1,
  waiting and waiting[1] or '', waiting and since(waiting) or -1, idle,
  views, names, parked, retries, delayed, next_due,
  overdue, smallest, first and first[1] or '', info['max-deleted-entry-id'] or '', returns, kept,
}
