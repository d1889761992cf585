-- The oldest rows of an outbox, no more than a reply and the call that delivers them can carry in time.
-- KEYS: outbox. ARGV: most rows. Reply: {now ms, rows of {id, values}}.
local outbox, most = KEYS[1], tonumber(ARGV[1])
local PAGE, BYTES = 10, 1000000

local rows, bytes, seen = {}, 0, nil
while #rows < most do
  local page = redis.call('XRANGE', outbox, seen or '-', '+', 'COUNT', PAGE)
  for _, row in ipairs(page) do
    if row[1] ~= seen then
      for _, value in ipairs(row[2]) do bytes = bytes + #value end
      if #rows == most or #rows > 0 and bytes > BYTES then return {now, rows} end
      rows[#rows + 1] = row
    end
  end
  if #page < PAGE then return {now, rows} end
  seen = page[#page][1]
end
return {now, rows}
