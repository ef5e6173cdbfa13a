-- grant: queued -> running | parked (a standing order blocks it) | held (enough of its owner's run) | killed (an order covers it)
-- Takes up to `slots` jobs from the road into leases, looking at no more than
-- `scan` entries. Nothing is ever delivered and not granted: an entry is read,
-- acknowledged and deleted in this one step. The nonce is the retry key. The
-- reply says whether more may be on the road; `paced` says in how many
-- microseconds one more may start, after a thaw at a rate.
-- KEYS:    road wake live leases later alive over aside attempt holding pace capped
-- READS:   gate beat money caps meta
-- MAKES:   job events tally held calls reserved minute day window
-- ARGV:    worker nonce slots scan seen
-- REPLY:   granted frozen paced lost
-- INCLUDE: over record knows pace running
local last = redis.call('GET', K.attempt)
if last and string.sub(last, 1, #A.nonce + 1) == A.nonce .. ' ' then
  local again = { 'granted', '1' }
  for id, epoch in string.gmatch(string.sub(last, #A.nonce + 2), '(%S+)=(%S+)') do
    if holds(record(P.job .. id), A.worker, epoch) then again[#again + 1] = { id, epoch, redis.call('HGETALL', P.job .. id) } end
  end
  return again
end
if not knows(A.seen) then return { 'lost', gate().number } end
if gate().frozen then return { 'frozen' } end
local pace = room_now()
if pace and pace.room == 0 then return { 'paced', pace.wait } end
local slots = math.min(tonumber(A.slots), pace and pace.room or math.huge)

-- take: so many entries off the road, for good. All that stands before the last
-- of them was taken before.
local function take(count)
  local function read() return redis.pcall('XREADGROUP', 'GROUP', 'fleet', 'grant', 'COUNT', count, 'NOACK', 'STREAMS', K.road, '>') end
  local got = read()
  if got and got.err then
    if not string.find(got.err, 'NOGROUP', 1, true) then return nil, got end
    redis.call('XGROUP', 'CREATE', K.road, 'fleet', '0', 'MKSTREAM')
    got = read()
  end
  if got and got.err then return nil, got end
  if not got or not got[1] then return {} end
  local entries = got[1][2]
  local ms, n = string.match(entries[#entries][1], '^(%d+)-(%d+)$')
  redis.call('XTRIM', K.road, 'MINID', ms .. '-' .. string.format('%d', n + 1))
  return entries
end

local function set_aside(entry, why, id)
  if id then redis.call('ZREM', K.live, id) end
  redis.call('XADD', K.aside, 'MAXLEN', '~', '1000', '*', 'entry', entry[1], 'reason', why, 'fields', cjson.encode(entry[2] or {}))
end

local function job_of(entry)
  local f = entry[2] or {}
  for i = 1, #f - 1, 2 do
    if f[i] == 'job' then return f[i + 1] end
  end
  return nil
end

-- whole: the record with all its fields, and those as the reply gives them.
local function whole(id)
  local fields = redis.pcall('HGETALL', P.job .. id)
  if fields.err then return false end
  local r = {}
  for i = 1, #fields, 2 do r[fields[i]] = fields[i + 1] end
  return understood_record(r), fields
end

-- renewed: the same with those that are new.
local function renewed(fields, new)
  for i = 1, #fields, 2 do
    local value = new[fields[i]]
    if value then fields[i + 1], new[fields[i]] = value, nil end
  end
  for name, value in pairs(new) do
    fields[#fields + 1] = name
    fields[#fields + 1] = value
  end
  return fields
end

-- blocked_by: the standing order that is in a job's way. Labels that are no
-- object match none; the worker that gets the job fails it.
local function blocked_by(r)
  if #gate().rules == 0 then return nil end
  local ok, labels = pcall(cjson.decode, r.labels or '{}')
  return blocking(r.owner, r.kind, ok and type(labels) == 'table' and labels or {})
end

local function bench(id, r, block, t)
  redis.call('HSET', P.job .. id, 'state', 'parked', 'park_reason', 'blocked', 'blocked_by', block.order)
  redis.call('ZADD', K.later, '+inf', id)
  moved(r.owner, 'queued', 'parked')
  emit(id, 'job.parked', t, { reason = 'blocked', order = block.order })
end

-- must_wait: as many of its owner's jobs run as may, or one that came before it
-- is held and has the next turn. `started` is how many of an owner began in this
-- step: the counts are told of them at its end.
local caps, started = {}, {}
local function must_wait(r)
  if caps[r.owner] == nil then caps[r.owner] = running_cap(r.owner) or false end
  local cap = caps[r.owner]
  if not cap then return false end
  if tonumber(redis.call('HGET', K.alive, 'running ' .. r.owner) or '0') + (started[r.owner] or 0) >= cap then return true end
  local first = redis.call('ZRANGE', P.held .. r.owner, 0, 0, 'WITHSCORES')
  return first[2] ~= nil and tonumber(first[2]) < tonumber(r.seq)
end

local function hold_back(id, r, t)
  redis.call('HSET', P.job .. id, 'state', 'held')
  redis.call('ZADD', P.held .. r.owner, r.seq, id)
  redis.call('ZADD', K.capped, 'NX', '0', r.owner)
  moved(r.owner, 'queued', 'held')
  emit(id, 'job.held', t, { running = caps[r.owner] })
end

local beat, leases = redis.call('GET', K.beat) or '0', {}
local function lease(id, r, t)
  local grants = string.format('%d', r.grants + 1)
  local epoch = grants .. '.' .. A.nonce
  redis.call('HSET', P.job .. id, 'state', 'running', 'worker', A.worker, 'epoch', epoch, 'grants', grants, 'granted_at', t)
  if r.leave then redis.call('HDEL', P.job .. id, 'leave') end
  leases[#leases + 1], leases[#leases + 2] = beat, id
  started[r.owner] = (started[r.owner] or 0) + 1
  emit(id, 'job.started', t, { worker = A.worker, epoch = epoch, attempt = r.attempts + 1 })
  return epoch, { state = 'running', worker = A.worker, epoch = epoch, grants = grants, granted_at = t }
end

-- admit: what becomes of the job an entry names: id, epoch and fields when it
-- is granted.
local function admit(entry)
  local id = job_of(entry)
  if not id then return set_aside(entry, 'the entry names no job') end
  local r, fields = whole(id)
  if r == nil then return set_aside(entry, 'the job has no record', id) end
  if r == false then return set_aside(entry, 'the record is not a job', id) end
  if r.state ~= 'queued' or r.entry ~= entry[1] then return nil end
  local t = now()
  local order = covering(r)
  if order then return kill(id, r, order, 'not_running', t) end
  local block = blocked_by(r)
  if block then return bench(id, r, block, t) end
  if must_wait(r) then return hold_back(id, r, t) end
  local epoch, new = lease(id, r, t)
  return id, epoch, renewed(fields, new)
end

local out, memo, left, empty = { 'granted', '1' }, { A.nonce }, tonumber(A.scan), false
while left > 0 and not empty and #out - 2 < slots do
  local want = math.min(left, slots - (#out - 2))
  local entries, failed = take(want)
  if failed then return failed end
  left, empty = left - want, #entries < want
  for i = 1, #entries do
    local id, epoch, fields = admit(entries[i])
    if id then
      out[#out + 1] = { id, epoch, fields }
      memo[#memo + 1] = id .. '=' .. epoch
    end
  end
end
if #leases > 0 then redis.call('ZADD', K.leases, unpack(leases)) end
for owner, n in pairs(started) do moved(owner, 'queued', 'running', n) end
spent(pace, #out - 2)
if #memo > 1 then redis.call('SET', K.attempt, table.concat(memo, ' '), 'EX', '60') end
if empty then
  out[2] = '0'
  redis.call('DEL', K.wake)
end
return out
