package node

import (
	"testing"
	"time"

	"github.com/annals-go/annals/cmd/node/servers"
	"github.com/annals-go/annals/cmd/node/web"
)

// FuzzFlags: whatever stands where a flag wants a moment, an address, a quota, a place of
// views or of keys, or a monitor, is one or is refused by name.
func FuzzFlags(f *testing.F) {
	for _, text := range []string{
		"7", "2006-01-02", "2006-01-02T15:04", "90m", "-1s", "127.0.0.1:0", "[::1]:4280", "0.0.0.0:99999", ":", "principal:rate=1,burst=2", "namespace:rate=NaN", "principal:rate=1e999",
		"principal:streams=99999999999", "nats", "sqlite:x", "postgres://u:p@h/d", "http://n1:8222", "ftp://x", "\x00", "", "principal:",
	} {
		f.Add(text)
	}
	now := time.Unix(1_700_000_000, 0)
	f.Fuzz(func(t *testing.T, text string) {
		at, err := parseAt(text, now)
		if err == nil && text != "" && at.Version == 0 && at.Time.IsZero() {
			if _, odd := time.Parse(time.DateOnly, text); odd != nil {
				t.Errorf("--at %q is taken for now", text)
			}
		}
		if a, err := web.ParseAddress("http", text, true); err == nil && (a.Host == "" || a.Port < 0 || a.Port > 65535) {
			t.Errorf("--http %q is %+v", text, a)
		}
		if q, err := parseQuotas([]string{text}); err == nil {
			for _, one := range []float64{q.Namespace.Rate, q.Principal.Rate, float64(q.Namespace.Burst), float64(q.Principal.StreamsPerHour)} {
				if !(one >= 0 && one < 1e300) {
					t.Errorf("--quota %q is %+v", text, q)
				}
			}
		}
		_, _ = parseViewStore(text)
		_, _ = servers.ParseMonitors([]string{text})
		_, _, _ = parseStream([]string{"account", text}, "")
	})
}
