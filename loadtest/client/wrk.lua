-- Sends the requests in the files it is given, in turn, and says at the end how long answers took.
-- No response(): it would be called for each answer, and the client has but one core.

local requests, index = {}, 0

function init(paths)
  for _, path in ipairs(paths) do
    local file = assert(io.open(path, "rb"))
    requests[#requests + 1] = file:read("*a")
    file:close()
  end
end

function request()
  index = index % #requests + 1
  return requests[index]
end

function done(summary, latency)
  local errors = summary.errors
  io.write(string.format(
    '\n{"microseconds":%d,"answers":%d,"refused":%d,"broken":%d,"p50":%d,"p99":%d,"slowest":%d}\n',
    summary.duration, summary.requests, errors.status,
    errors.connect + errors.read + errors.write + errors.timeout,
    latency:percentile(50), latency:percentile(99), latency.max))
end
