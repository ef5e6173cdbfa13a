-- selected: whether a job is one that a selector asks for. What the selector
-- leaves empty does not count; a record that does not say is not asked for.
-- understands: whether this build knows all that a selector may ask for. What it
-- does not know would spare jobs, so nobody is selected without it.
local function understands(sel)
  local known = { owner = 1, submitter = 1, kind = 1, model = 1, labels = 1, before = 1, spend = 1, min_age = 1 }
  for name in pairs(sel) do
    if not known[name] then return false end
  end
  return true
end

local function selected(sel, id, r)
  if sel.owner ~= '' and sel.owner ~= r.owner then return false end
  if sel.kind ~= '' and sel.kind ~= r.kind then return false end
  if sel.spend ~= '' and (tonumber(r.spent) or 0) < tonumber(sel.spend) then return false end
  local model, submitter = sel.model or '', sel.submitter or '' -- an order of an older build has none
  if sel.before == '' and model == '' and submitter == '' and next(sel.labels) == nil then return true end
  local v = redis.call('HMGET', P.job .. id, 'labels', 'created_at', 'models', 'submitter')
  if submitter ~= '' and submitter ~= v[4] then return false end
  if model ~= '' and not string.find(v[3] or '', '\n' .. model .. '\n', 1, true) then return false end
  if sel.before ~= '' and (tonumber(v[2] or '') or math.huge) > tonumber(sel.before) then return false end
  local ok, labels = pcall(cjson.decode, v[1] or '{}')
  for k, want in pairs(sel.labels) do
    if not ok or type(labels) ~= 'table' or labels[k] ~= want then return false end
  end
  return true
end
