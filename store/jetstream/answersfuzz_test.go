package jetstream

import (
	"strings"
	"testing"

	"github.com/nats-io/nats.go"
)

// FuzzServerAnswers: whatever comes where a server's answer should, nothing is taken
// for stored that the answer does not give a sequence.
func FuzzServerAnswers(f *testing.F) {
	for _, text := range []string{
		`{"stream":"S","seq":7}`, `{"error":{"code":503,"err_code":10077,"description":"x"}}`, `{"seq":7,"duplicate":true}`, `{"seq":-1}`, `{"total":1,"state":{"subjects":{"a":18446744073709551615}}}`, `null`, `[`, ``, `{"error":null}`,
	} {
		f.Add([]byte(text), "")
		f.Add([]byte(text), "503")
	}
	f.Fuzz(func(t *testing.T, data []byte, status string) {
		m := &nats.Msg{Data: data, Header: nats.Header{}}
		if status != "" {
			m.Header.Set(statusHeader, status)
		}
		a := readAnswer(m)
		if a.verdict == stored && (a.sequence == 0 || !strings.Contains(string(data), "seq")) {
			t.Errorf("stored at %d: %s", a.sequence, data)
		}
		if a.verdict != stored && a.reason == nil {
			t.Errorf("neither stored nor a reason: %+v", a)
		}
		_ = readAPIError(data)
		if page, err := readSubjects(data); err == nil && page.Error != nil {
			t.Errorf("an error was passed over: %s", data)
		}
	})
}

// FuzzServerMarks: what a server says in headers and reply subjects about where a message
// is from is a number or an error.
func FuzzServerMarks(f *testing.F) {
	for _, text := range []string{"ANNALS_x_events_0 7 >", "S 0", "S", "", "S 18446744073709551616", "$JS.ACK.S.C.1.2.3.4.5", "$JS.ACK.D.A.S.C.1.2.3.4.5.x", "$JS.ACK........", "."} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if stream, local, err := readSource(text); err == nil && (local == 0 || !strings.HasPrefix(text, stream)) {
			t.Errorf("%q is message %d of %q", text, local, stream)
		}
		if d, err := readDelivery(text); err != nil && d != (delivery{}) {
			t.Errorf("%q: %+v beside %v", text, d, err)
		}
	})
}
