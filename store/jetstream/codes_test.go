package jetstream

import (
	"encoding/json"
	"errors"
	"testing"

	"github.com/nats-io/nats.go"

	"github.com/annals-go/annals/store"
)

func TestReadAnswer(t *testing.T) {
	t.Parallel()
	status := func(code string) nats.Header { return nats.Header{statusHeader: {code}} }
	for _, c := range []struct {
		name     string
		data     string
		header   nats.Header
		verdict  verdict
		sequence uint64
	}{
		{name: "acknowledgement", data: `{"stream":"S","seq":17}`, verdict: stored, sequence: 17},
		{name: "with a space", data: `{"stream":"S","seq": 17}`, verdict: stored, sequence: 17},
		{name: "of a domain", data: `{"stream":"S","domain":"hub","seq":17}`, verdict: stored, sequence: 17},
		{name: "in another order", data: `{"seq":17,"stream":"S"}`, verdict: stored, sequence: 17},
		{name: "largest sequence", data: `{"stream":"S","seq":18446744073709551615}`, verdict: stored, sequence: 1<<64 - 1},
		{name: "duplicate", data: `{"stream":"S","seq":17,"duplicate": true}`, verdict: moved},
		{name: "settled conflict", data: `{"error":{"code":400,"err_code":10071,"description":"wrong last sequence: 5"},"stream":"S","seq":0}`, verdict: moved},
		{name: "duplicate in a batch", data: `{"error":{"code":400,"err_code":10201}}`, verdict: moved},
		{name: "write in progress", data: `{"error":{"code":400,"err_code":10164}}`, verdict: busy},
		{name: "duplicate in progress", data: `{"error":{"code":409,"err_code":10158}}`, verdict: busy},
		{name: "too many requests", data: `{"error":{"code":429,"err_code":10167}}`, verdict: busy},
		{name: "no leader", data: `{"error":{"code":503,"err_code":10008}}`, verdict: lost},
		{name: "incomplete", data: `{"error":{"code":400,"err_code":10176}}`, verdict: lost},
		{name: "full", data: `{"error":{"code":503,"err_code":10077,"description":"maximum bytes exceeded"}}`, verdict: refused},
		{name: "too large", data: `{"error":{"code":400,"err_code":10054}}`, verdict: refused},
		{name: "nobody there", header: status("503"), verdict: busy},
		{name: "too many", header: status("429"), verdict: busy},
		{name: "another status", header: status("500"), verdict: lost},
		{name: "nothing", verdict: lost},
		{name: "no sequence", data: `{"stream":"S"}`, verdict: lost},
		{name: "sequence 0", data: `{"stream":"S","seq":0}`, verdict: lost},
		{name: "no JSON", data: `+OK`, verdict: lost},
		{name: "cut", data: `{"stream":"S","seq":1`, verdict: lost},
		{name: "overflow", data: `{"stream":"S","seq":18446744073709551616}`, verdict: lost},
	} {
		got := readAnswer(&nats.Msg{Data: []byte(c.data), Header: c.header})
		if got.verdict != c.verdict || got.sequence != c.sequence {
			t.Errorf("%s: verdict %d, sequence %d, want %d, %d", c.name, got.verdict, got.sequence, c.verdict, c.sequence)
		}
		if (got.reason == nil) != (c.verdict == stored) {
			t.Errorf("%s: reason %v", c.name, got.reason)
		}
	}
}

func TestOutOfRoomIsUnavailable(t *testing.T) {
	t.Parallel()
	for data, want := range map[string]bool{
		`{"error":{"code":503,"err_code":10077}}`: true,
		`{"error":{"code":503,"err_code":10023}}`: true,
		`{"error":{"code":400,"err_code":10054}}`: false,
		`{"error":{"code":400,"err_code":10060}}`: false,
	} {
		if got := errors.Is(readAnswer(&nats.Msg{Data: []byte(data)}).reason, store.ErrUnavailable); got != want {
			t.Errorf("%s: unavailable is %t", data, got)
		}
	}
}

// FuzzReadAck compares the short way to read an acknowledgement with a JSON
// decoder: where it answers, both must agree.
func FuzzReadAck(f *testing.F) {
	for _, seed := range []string{
		`{"stream":"S","seq":17}`, `{"stream":"S","domain":"d","seq":1}`, `{"stream":"S","seq":1,"duplicate": true}`,
		`{"stream":"S","seq":-1}`, `{"stream":"S","seq":01}`, `{"stream":"\"","seq":3}`, `{"stream":"","seq":1},"seq":2}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		sequence, ok := readAck(data)
		if !ok || !json.Valid(data) {
			return
		}
		var body struct {
			Sequence uint64          `json:"seq"`
			Error    json.RawMessage `json:"error"`
		}
		if err := json.Unmarshal(data, &body); err != nil || body.Sequence != sequence || body.Error != nil {
			t.Errorf("%q: read %d, a decoder reads %d, %s, %v", data, sequence, body.Sequence, body.Error, err)
		}
	})
}

func TestHeaderIn(t *testing.T) {
	t.Parallel()
	block := "NATS/1.0\r\nNats-Msg-Id: x\r\nNats-Expected-Last-Subject-Sequence: 41\r\nOther:9\r\n\r\n"
	for name, want := range map[string]string{
		"Nats-Expected-Last-Subject-Sequence": "41", "Nats-Msg-Id": "x", "Other": "9", "Subject-Sequence": "", "Absent": "",
	} {
		if got := headerIn([]byte(block), name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	if got := headerIn([]byte("NATS/1.0\r\nOther: cut"), "Other"); got != "" {
		t.Errorf("a header without an end: %q", got)
	}
}
