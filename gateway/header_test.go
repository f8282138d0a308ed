package gateway_test

import (
	"errors"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"

	"github.com/annals-go/annals/gateway"
	"github.com/annals-go/annals/store"
)

var noon = time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)

func TestCommandHeaders(t *testing.T) {
	t.Parallel()
	trace := "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"
	for _, c := range []struct {
		what string
		raw  nats.Header
		want gateway.Parsed
	}{
		{"none", nil, gateway.Parsed{}},
		{"version 0 is a condition", nats.Header{"Annals-Expected-Version": {"0"}}, gateway.Parsed{HasExpected: true}},
		{"the largest version", nats.Header{"Annals-Expected-Version": {"18446744073709551615"}}, gateway.Parsed{HasExpected: true, Expected: 1<<64 - 1}},
		{"policies", nats.Header{"Annals-On-Conflict": {"merge"}}, gateway.Parsed{OnConflict: 2}},
		{"duration", nats.Header{"Annals-Deadline": {"1m30s"}}, gateway.Parsed{Deadline: noon.Add(90 * time.Second)}},
		{"time", nats.Header{"Annals-Deadline": {"2026-06-01T14:00:01+02:00"}}, gateway.Parsed{Deadline: noon.Add(time.Second)}},
		{"spelling", nats.Header{"ANNALS-COMMAND-ID": {"x"}}, gateway.Parsed{CommandID: "x"}},
		{"not ASCII", nats.Header{"Annals-Correlation-Id": {"Gruß 7"}}, gateway.Parsed{CorrelationID: "Gruß 7"}},
		{"trace", nats.Header{"traceparent": {trace}}, gateway.Parsed{Traceparent: trace}},
		{"trace in upper case", nats.Header{"traceparent": {strings.ToUpper(trace)}}, gateway.Parsed{}},
		{"trace of the future", nats.Header{"traceparent": {"01" + trace[2:]}}, gateway.Parsed{}},
		{"two traces", nats.Header{"traceparent": {trace, trace}}, gateway.Parsed{}},
		{"foreign", nats.Header{"X-Annals-Command-Id": {"x"}, "Nats-Msg-Id": {"y"}}, gateway.Parsed{}},
	} {
		got, err := gateway.ParseCommandHeaders(c.raw, noon)
		if err != nil {
			t.Errorf("%s: %v", c.what, err)
			continue
		}
		if !got.Deadline.Equal(c.want.Deadline) {
			t.Errorf("%s: deadline %v, want %v", c.what, got.Deadline, c.want.Deadline)
		}
		got.Deadline, c.want.Deadline = time.Time{}, time.Time{}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.what, diff)
		}
	}
}

// FuzzCommandHeaders reads header blocks as they come from a socket: whatever
// is accepted is fit to be stored, and everything else is a typed error.
func FuzzCommandHeaders(f *testing.F) {
	for _, header := range []string{
		"", "Annals-Command-Id: c-1\r\n", "Annals-Command-Id: a\r\nb\r\n", "annals-command-id:x\r\nAnnals-Command-Id: y\r\n",
		"Annals-Expected-Version: 7\r\nAnnals-On-Conflict: retry\r\n", "Annals-Deadline: 500ms\r\n",
		"Annals-Deadline: 9999-12-31T23:59:59Z\r\n", "Nats-Rollup: all\r\n", ": x\r\n", "Annals-: \r\n",
		"traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\n", "Annals-Correlation-Id: \xff\r\n",
	} {
		f.Add([]byte("NATS/1.0\r\n" + header + "\r\n"))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		raw, err := nats.DecodeHeadersMsg(data)
		if err != nil {
			return
		}
		h, err := gateway.ParseCommandHeaders(raw, noon)
		if err != nil {
			if !errors.Is(err, store.ErrInvalid) {
				t.Fatalf("untyped error: %v", err)
			}
			return
		}
		for what, limits := range map[string]struct {
			text  string
			limit int
		}{
			"command id":     {h.CommandID, store.MaxCommandIDBytes},
			"correlation id": {h.CorrelationID, store.MaxMetadataBytes},
			"causation id":   {h.CausationID, store.MaxMetadataBytes},
			"traceparent":    {h.Traceparent, 55},
		} {
			hidden := strings.ContainsFunc(limits.text, func(r rune) bool { return !unicode.IsPrint(r) })
			if len(limits.text) > limits.limit || hidden || !utf8.ValidString(limits.text) {
				t.Fatalf("%s %q was accepted", what, limits.text)
			}
		}
		if h.OnConflict < 0 || h.OnConflict > 2 || h.Expected != 0 && !h.HasExpected {
			t.Fatalf("accepted %+v", h)
		}
	})
}
