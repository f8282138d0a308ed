package gateway_test

import (
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/annals-go/annals/gateway"
)

// FuzzBodies: whatever is sent as the body of a query or a control request is read, or
// refused with a typed error.
func FuzzBodies(f *testing.F) {
	for _, body := range []string{
		`{"view":"totals"}`, `{"aggregate":"account","id":"a"}`, `{"view":"totals","id":"x","at":3,"data":{"a":[1]}}`, `{"subject":"s","why":"w","id":"01890a5d-ac96-774b-bcce-b302099a8057"}`,
		`{"position":18446744073709551616}`, `{"limit":-1}`, `{"at":"2026-01-01T00:00:00Z"}`, `null`, `[`, `{"view":"a","view":"b"}`, `{"from":{"version":1},"to":{}}`, "\xff", strings.Repeat("[", 4000),
	} {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		for _, err := range gateway.ReadBodies(body) {
			typed(t, err)
		}
	})
}

// FuzzReadHeaders: the same for the headers of what is no command. What only nodes may
// say is refused from others.
func FuzzReadHeaders(f *testing.F) {
	for _, h := range []string{
		"Annals-Hops: 1\r\n", "annals-reply: x\r\n", "Annals-Principal: root\r\n", "Annals-Until: x\r\n", "Annals-Min-Position: -1\r\n", "Annals-Consistency: linearizable\r\n", "Annals-Deadline: 9999-12-31T23:59:59Z\r\n",
		"Annals-Authorization: Bearer x\r\n", "Annals-Deadline: -5s\r\nANNALS-DEADLINE: 5s\r\n", "",
	} {
		f.Add([]byte("NATS/1.0\r\n"+h+"\r\n"), true, false)
		f.Add([]byte("NATS/1.0\r\n"+h+"\r\n"), false, true)
	}
	f.Fuzz(func(t *testing.T, data []byte, get, passed bool) {
		raw, err := nats.DecodeHeadersMsg(data)
		if err != nil {
			return
		}
		err = gateway.ParseReadHeaders(raw, get, passed, time.Unix(1_700_000_000, 0))
		typed(t, err)
		for name := range raw {
			switch strings.ToLower(name) {
			case "annals-principal", "annals-until", "annals-hops", "annals-reply":
				if err == nil && !passed {
					t.Errorf("%q was taken from anybody", name)
				}
			}
		}
	})
}

// FuzzWatchMessage: of a watch nothing is taken but the change that follows, and
// progress.
func FuzzWatchMessage(f *testing.F) {
	for _, body := range []string{
		`{"type":"io.annals.api.v1.watch_change","sequence":8,"document":{"key":"k","document":null}}`, `{"type":"io.annals.api.v1.watch_progress","sequence":7}`,
		`{"type":"io.annals.api.v1.watch_change","sequence":9}`, `{"type":"x"}`, `null`, `[`, ``, `{"sequence":-1}`,
	} {
		f.Add([]byte(body), uint64(7), "")
		f.Add([]byte(body), uint64(7), "503")
	}
	f.Fuzz(func(t *testing.T, data []byte, taken uint64, status string) {
		m := &nats.Msg{Data: data, Header: nats.Header{}}
		if status != "" {
			m.Header.Set("Status", status)
		}
		sequence, document, err := gateway.ReadWatchMessage(m, taken)
		if err == nil && (document && sequence != taken+1 && sequence != taken || !document && sequence != taken) {
			t.Errorf("after change %d came %d: %s", taken, sequence, data)
		}
	})
}
