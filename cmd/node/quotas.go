package node

import (
	"math"
	"strconv"
	"strings"

	"github.com/annals-go/annals/gateway"
)

// quotaHelp is that of the flag --quota.
const quotaHelp = "bound what comes to this node, as `WHOSE:NAME=N,…`: WHOSE is namespace (everybody together) or principal (each asker); NAME is rate (requests a second), burst, bytes (of commands, a second), " +
	"in-flight, watches or streams (new aggregate instances an hour). Repeat it for both. Default: no bounds"

// parseQuotas reads the values of --quota.
func parseQuotas(values []string) (all gateway.Quotas, err error) {
	for _, value := range values {
		whose, rest, _ := strings.Cut(value, ":")
		var q *gateway.Quota
		switch whose {
		case "namespace":
			q = &all.Namespace
		case "principal":
			q = &all.Principal
		default:
			return all, Usage("--quota %q: want namespace: or principal: first", value)
		}
		for item := range strings.SplitSeq(rest, ",") {
			if !setQuota(q, item) {
				return all, Usage("--quota %q: %q: want rate, burst, bytes, in-flight, watches or streams, = and a number above 0", value, item)
			}
		}
	}
	return all, nil
}

// setQuota sets what NAME=N says; false: it says nothing.
func setQuota(q *gateway.Quota, item string) bool {
	name, text, _ := strings.Cut(item, "=")
	if name == "rate" {
		n, err := strconv.ParseFloat(text, 64)
		q.Rate = n
		return err == nil && n > 0 && !math.IsInf(n, 0)
	}
	field := map[string]*int{"burst": &q.Burst, "bytes": &q.BytesPerSecond, "in-flight": &q.InFlight, "watches": &q.Watches, "streams": &q.StreamsPerHour}[name]
	n, err := strconv.ParseUint(text, 10, 31)
	if field == nil || err != nil || n == 0 {
		return false
	}
	*field = int(n)
	return true
}
