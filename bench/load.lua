-- SPDX-License-Identifier: Apache-2.0
-- wrk: posts the file named after `--`, or gets when there is none; ends with one line of JSON.

function init(args)
	if args[1] then
		local file = assert(io.open(args[1], "rb"))
		wrk.method = "POST"
		wrk.body = file:read("*a")
		wrk.headers["Content-Type"] = args[2] or "application/octet-stream"
		wrk.headers["Accept"] = args[3]
		file:close()
	end
end

function done(summary, latency, requests)
	local e = summary.errors
	local format = '\n{"requests": %d, "seconds": %.6f, "failed": %d, ' ..
		'"p50_ms": %.3f, "p99_ms": %.3f}\n'
	io.write(string.format(format, summary.requests, summary.duration / 1e6,
		e.status + e.connect + e.read + e.write + e.timeout,
		latency:percentile(50) / 1e3, latency:percentile(99) / 1e3))
end
