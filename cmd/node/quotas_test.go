package node

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/annals-go/annals/gateway"
)

func TestParseQuotas(t *testing.T) {
	t.Parallel()
	got, err := parseQuotas([]string{"principal:rate=0.5,burst=7,in-flight=3", "namespace:bytes=1000,watches=5,streams=9"})
	want := gateway.Quotas{
		Principal: gateway.Quota{Rate: 0.5, Burst: 7, InFlight: 3}, Namespace: gateway.Quota{BytesPerSecond: 1000, Watches: 5, StreamsPerHour: 9},
	}
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("%v %s", err, diff)
	}
	for _, bad := range []string{"", "principal", "principal:", "everybody:rate=1", "principal:rate", "principal:rate=0", "principal:rate=-1", "principal:rate=NaN", "principal:rate=Inf", "principal:burst=1.5", "principal:speed=1", "principal:burst=4294967296"} {
		if got, err := parseQuotas([]string{bad}); err == nil {
			t.Errorf("%q was read as %+v", bad, got)
		}
	}
}
