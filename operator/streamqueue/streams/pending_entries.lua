-- A page of the pending entries list with the server's time. Writes nothing.
-- KEYS: stream. ARGV: group, start id, count, smallest idle ms, consumer ('' for all).
-- Reply: {now ms, last id scanned or '' at the end, rows}.
local stream, group, start, count, idle, consumer = KEYS[1], ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4]), ARGV[5]

local range = {start, '+', count}
if consumer ~= '' then range[4] = consumer end
local filtered = redis.pcall('XPENDING', stream, group, 'IDLE', idle, unpack(range))
if not filtered.err then
  return {now, #filtered == count and filtered[count][1] or '', filtered}
end
-- Before 6.2 there is no IDLE; any other error shows here again.
local page, rows = redis.call('XPENDING', stream, group, unpack(range)), {}
for _, row in ipairs(page) do
  if row[3] >= idle then rows[#rows + 1] = row end
end
return {now, #page == count and page[count][1] or '', rows}
