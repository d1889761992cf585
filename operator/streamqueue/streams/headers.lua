-- Ids and `sq-` fields of entries between two ids; no payload leaves the server and nothing is written.
-- KEYS: stream. ARGV: first id, last id, count, 1 for newest first. Reply: {1 if stopped early, rows of {id, fields}}.
local stream, first, last, count, newest = KEYS[1], ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[4] == '1'
local PAGE, BYTES = 100, 4000000 -- a script blocks the server: it stops at so many bytes read

local rows, bytes, seen = {}, 0, nil
while #rows < count do
  local from, to = first, last
  if newest then to = seen or last else from = seen or first end
  local most = math.min(PAGE, count - #rows) + (seen and 1 or 0)
  local page = newest and redis.call('XREVRANGE', stream, to, from, 'COUNT', most)
    or redis.call('XRANGE', stream, from, to, 'COUNT', most)
  for _, entry in ipairs(page) do
    if entry[1] ~= seen then
      local own = {}
      for i = 1, #entry[2], 2 do
        bytes = bytes + #entry[2][i + 1]
        if string.sub(entry[2][i], 1, 3) == 'sq-' then
          own[#own + 1] = entry[2][i]
          own[#own + 1] = entry[2][i + 1]
        end
      end
      rows[#rows + 1] = {entry[1], own}
    end
  end
  if #page < most then return {0, rows} end
  if bytes > BYTES then return {1, rows} end
  seen = page[#page][1]
end
return {0, rows}
