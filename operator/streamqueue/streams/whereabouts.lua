-- Where one task is, as far as the group knows it without looking for it. Writes nothing.
-- KEYS: stream, hash of its state and result, mark of its enqueue, delayed sorted set.
-- ARGV: group, task id, consumer that holds retries.
-- Reply: {state and result, '' or waiting, delayed, pending, parked, its consumer, ms since its last delivery}.
local stream, group, id = KEYS[1], ARGV[1], ARGV[2]
local known = redis.call('HGETALL', KEYS[2])
local mark = redis.call('GET', KEYS[3])
if mark == '' then return {known, redis.call('ZSCORE', KEYS[4], id) and 'delayed' or '', '', -1} end

-- The entry that the mark names; else the id itself may be one: a plain producer's.
local entry = mark or string.match(id, '^%d+%-%d+$')
if not entry or redis.call('TYPE', stream).ok ~= 'stream' then return {known, '', '', -1} end
local rows = redis.pcall('XPENDING', stream, group, entry, entry, 1)
if rows.err and not string.find(rows.err, 'NOGROUP', 1, true) then return rows end
-- Without a group nothing was handed out yet.
if rows.err then return {known, mark and 'waiting' or '', '', -1} end
if rows[1] then
  return {known, rows[1][2] == ARGV[3] and 'parked' or 'pending', rows[1][2], rows[1][3]}
end

local delivered
for _, flat in ipairs(redis.call('XINFO', 'GROUPS', stream)) do
  local row = fields(flat)
  if row.name == group then delivered = row['last-delivered-id'] end
end
local there = redis.call('XRANGE', stream, entry, entry)[1] -- under its id as the server writes it
local waits = delivered and there and before(delivered, there[1])
return {known, waits and 'waiting' or '', '', -1}
