package history

import (
	"bytes"
	"compress/gzip"
	"encoding/hex"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/annals-go/annals/cmd/loans/application"
	"github.com/annals-go/annals/store"
)

// oneTrace is a file as the bank writes it: attributes about the log, defaults,
// attributes of attributes, a missing employee.
const oneTrace = `<?xml version="1.0" encoding="UTF-8" ?>
<!-- made by hand -->
<log xes.version="1.0" xmlns="http://www.xes-standard.org/">
	<global scope="event"><string key="concept:name" value="UNKNOWN"/></global>
	<string key="Generation_Details" value="x"><string key="concept:name" value="not a trace"/></string>
	<trace>
		<date key="REG_DATE" value="2011-10-01T00:38:44.546+02:00"/>
		<string key="concept:name" value="173688"/>
		<string key="AMOUNT_REQ" value="20000"/>
		<event>
			<string key="org:resource" value="112"/>
			<string key="lifecycle:transition" value="COMPLETE"/>
			<string key="concept:name" value="A_SUBMITTED"><string key="concept:name" value="inner"/></string>
			<date key="time:timestamp" value="2011-10-01T00:38:44.546+02:00"/>
		</event>
		<event>
			<string key="concept:name" value="W_A &amp; B"/>
			<string key="lifecycle:transition" value="START"/>
			<date key="time:timestamp" value="2011-10-01T11:36:46.437+02:00"/>
		</event>
	</trace>
</log>
`

var oneTraceRead = []*Trace{{
	Application: "173688", Amount: 20_000, Line: 6,
	Events: []Event{
		{Activity: "A_SUBMITTED", Step: "COMPLETE", Employee: "112", Time: time.Date(2011, 9, 30, 22, 38, 44, 546e6, time.UTC), Line: 10},
		{Activity: "W_A & B", Step: "START", Time: time.Date(2011, 10, 1, 9, 36, 46, 437e6, time.UTC), Line: 16},
	},
}}

func TestRead(t *testing.T) {
	t.Parallel()
	for name, file := range map[string]io.Reader{
		"plain":           strings.NewReader(oneTrace),
		"compressed":      bytes.NewReader(compress(t, oneTrace)),
		"a byte a time":   iotest.OneByteReader(strings.NewReader(oneTrace)),
		"data with error": iotest.DataErrReader(strings.NewReader(oneTrace)),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := readAll(file)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(oneTraceRead, got); d != "" {
				t.Errorf("traces (-want +got):\n%s", d)
			}
		})
	}
}

// TestReadRefuses: every bad file ends in a typed error that names the line and,
// where it is known, the application; what came before it has been yielded.
func TestReadRefuses(t *testing.T) {
	t.Parallel()
	log := func(traces string) string { return "<log>\n" + traces + "\n</log>" }
	trace := func(number, amount, events string) string {
		return `<trace><string key="concept:name" value="` + number + `"/><string key="AMOUNT_REQ" value="` + amount + `"/>` + events + `</trace>`
	}
	event := func(activity, step, at string) string {
		return "\n" + `<event><string key="concept:name" value="` + activity + `"/><string key="lifecycle:transition" value="` + step +
			`"/><date key="time:timestamp" value="` + at + `"/></event>`
	}
	const noon = "2011-10-01T12:00:00.000+02:00"
	good := trace("1", "5", event("A_SUBMITTED", "COMPLETE", noon))
	squeezed := string(compress(t, log(good)))

	for _, c := range []struct {
		name, file string
		traces     int // yielded before the error
		line       int
		says       string
	}{
		{"an empty file", "", 0, 1, "unexpected EOF"},
		{"another file", "<html></html>", 0, 1, "<html>"},
		{"not a file of text", "\x00\x01\x02", 0, 1, "illegal character"},
		{"two logs", log("") + log(""), 0, 3, "<log>"},
		{"half a file", log(good)[:len(log(good))-3], 1, 4, "unexpected EOF"},
		{"half a compressed file", squeezed[:4], 0, 1, "unexpected EOF"},
		{"a damaged compressed file", squeezed[:len(squeezed)-5] + "\x00" + squeezed[len(squeezed)-4:], 1, 4, "checksum"},
		{"tags that do not match", "<log><trace></log>", 0, 1, "closed by"},
		{"no number", log(trace("", "5", "")), 0, 2, "concept:name"},
		{"too long a number", log(trace(strings.Repeat("1", 101), "5", "")), 0, 2, "100 bytes"},
		{"no amount", log(trace("7", "", "")), 0, 2, "AMOUNT_REQ"},
		{"an amount with cents", log(trace("7", "5.50", "")), 0, 2, "AMOUNT_REQ"},
		{"an event without activity", log(trace("7", "5", event("", "COMPLETE", noon))), 0, 3, "concept:name"},
		{"an event without step", log(trace("7", "5", event("A_SUBMITTED", "", noon))), 0, 3, "lifecycle:transition"},
		{"an event without time", log(trace("7", "5", event("A_SUBMITTED", "COMPLETE", ""))), 0, 3, "time:timestamp"},
		{"a time without zone", log(trace("7", "5", event("A_SUBMITTED", "COMPLETE", "2011-10-01T12:00:00.000"))), 0, 3, "time:timestamp"},
		{"a second trace of an application", log(good + "\n" + good), 1, 4, "the first is in line 2"},
		{"too many events", log(trace("7", "5", strings.Repeat(event("A_SUBMITTED", "COMPLETE", noon), MaxEvents+1))), 0, MaxEvents + 3, "10000 events"},
		{"too deep", "<log>" + strings.Repeat("<a>", maxDepth), 0, 1, "deeper"},
		{"an endless value", `<log><string key="` + strings.Repeat("x", maxTokenBytes), 0, 1, "megabyte"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got, err := readAll(strings.NewReader(c.file))
			bad, ok := errors.AsType[*FormatError](err)
			if !ok {
				t.Fatalf("error %v, want a *FormatError", err)
			}
			if len(got) != c.traces || bad.Line != c.line || !strings.Contains(bad.Err.Error(), c.says) {
				t.Errorf("%d traces, line %d, %v; want %d traces, line %d, %q", len(got), bad.Line, bad.Err, c.traces, c.line, c.says)
			}
		})
	}
}

func TestReadStopsWhenAsked(t *testing.T) {
	t.Parallel()
	for trace, err := range Read(strings.NewReader(sampleFile(t, 3, 1))) {
		if err != nil || trace.Application != "500001" {
			t.Fatalf("first pair: %v, %v", trace, err)
		}
		break
	}
}

func TestReadPassesOnTheCause(t *testing.T) {
	t.Parallel()
	broken := errors.New("disk is gone")
	_, err := readAll(io.MultiReader(strings.NewReader("<log>"), iotest.ErrReader(broken)))
	if !errors.Is(err, broken) {
		t.Errorf("error %v does not match the cause", err)
	}
}

// FuzzRead: no file makes the reader panic, or fail without a typed error.
func FuzzRead(f *testing.F) {
	f.Add([]byte(oneTrace))
	f.Add(compress(f, oneTrace))
	f.Add([]byte("<log><trace><event/></trace></log>"))
	f.Fuzz(func(t *testing.T, file []byte) {
		traces, err := readAll(bytes.NewReader(file))
		if _, typed := errors.AsType[*FormatError](err); err != nil && !typed {
			t.Errorf("error %T %v, want a *FormatError", err, err)
		}
		for _, trace := range traces {
			for i := range trace.Events {
				if _, err := trace.Command(i); err != nil {
					if _, typed := errors.AsType[*ActivityError](err); !typed {
						t.Errorf("error %T %v, want an *ActivityError", err, err)
					}
				}
			}
		}
	})
}

func TestCommands(t *testing.T) {
	t.Parallel()
	by := application.By{Employee: "112", Time: time.Date(2011, 10, 1, 0, 0, 0, 0, time.UTC)}
	for key, want := range map[string]application.Command{
		"A_SUBMITTED/COMPLETE":        application.Submit{Amount: 7, By: by},
		"A_PARTLYSUBMITTED/COMPLETE":  application.PartlySubmit{By: by},
		"A_PREACCEPTED/COMPLETE":      application.Preaccept{By: by},
		"A_ACCEPTED/COMPLETE":         application.Accept{By: by},
		"A_FINALIZED/COMPLETE":        application.Finalize{By: by},
		"A_REGISTERED/COMPLETE":       application.Register{By: by},
		"A_APPROVED/COMPLETE":         application.Approve{By: by},
		"A_ACTIVATED/COMPLETE":        application.Activate{By: by},
		"A_DECLINED/COMPLETE":         application.Decline{By: by},
		"A_CANCELLED/COMPLETE":        application.Cancel{By: by},
		"O_SELECTED/COMPLETE":         application.SelectOffer{By: by},
		"O_CREATED/COMPLETE":          application.CreateOffer{By: by},
		"O_SENT/COMPLETE":             application.SendOffer{By: by},
		"O_SENT_BACK/COMPLETE":        application.ReturnOffer{By: by},
		"O_ACCEPTED/COMPLETE":         application.AcceptOffer{By: by},
		"O_DECLINED/COMPLETE":         application.DeclineOffer{By: by},
		"O_CANCELLED/COMPLETE":        application.CancelOffer{By: by},
		"W_Afhandelen leads/SCHEDULE": application.ScheduleWork{Item: leads, By: by},
		"W_Afhandelen leads/START":    application.StartWork{Item: leads, By: by},
		"W_Afhandelen leads/COMPLETE": application.CompleteWork{Item: leads, By: by},
	} {
		activity, step, _ := strings.Cut(key, "/")
		trace := &Trace{Application: "9", Amount: 7, Events: []Event{{Activity: activity, Step: step, Employee: "112", Time: by.Time}}}
		got, err := trace.Command(0)
		if err != nil || got != want {
			t.Errorf("%s: %#v, %v; want %#v", key, got, err, want)
		}
	}
}

func TestCommandsRefuses(t *testing.T) {
	t.Parallel()
	for _, key := range []string{"A_SUBMITTED/START", "A_LOST/COMPLETE", "O_SENT/SCHEDULE", "W_/START", "W_Afhandelen leads/ABORT", "W_Afhandelen leads/", "/COMPLETE"} {
		activity, step, _ := strings.Cut(key, "/")
		trace := &Trace{Application: "9", Events: []Event{{Activity: activity, Step: step, Line: 12}}}
		got, err := trace.Command(0)
		bad, ok := errors.AsType[*ActivityError](err)
		if !ok || bad.Key != key || bad.Line != 12 || bad.Application != "9" {
			t.Errorf("%s: %#v, %v; want an *ActivityError of line 12", key, got, err)
		}
	}
}

// TestCommandIDs: an id depends on the application and the index alone, so that
// a copy of the file, compressed or not, gives the same ones.
func TestCommandIDs(t *testing.T) {
	t.Parallel()
	ids := func(file string) (ids []string) {
		traces, err := readAll(strings.NewReader(file))
		if err != nil {
			t.Fatal(err)
		}
		for _, trace := range traces {
			for i := range trace.Events {
				ids = append(ids, trace.CommandID(i))
			}
		}
		return ids
	}
	file := sampleFile(t, 50, 3)
	plain, compressed := ids(file), ids(string(compress(t, file)))
	if !slices.Equal(plain, compressed) {
		t.Error("the ids depend on the compression of the file")
	}
	slices.Sort(plain)
	if len(slices.Compact(slices.Clone(plain))) != len(plain) {
		t.Error("two commands have the same id")
	}
	if plain[0] != "xes-500001-0" {
		t.Errorf("first id %q: the ids of stored commands must never change", plain[0])
	}
}

// TestCommandBytes: a command id belongs to one body, byte for byte. If these
// bytes change, the import of a file that was imported before is refused.
func TestCommandBytes(t *testing.T) {
	t.Parallel()
	trace := oneTraceRead[0]
	for i, want := range []string{
		"83a6616d6f756e74cd4e20a8656d706c6f796565a3313132a474696d65d7ff822d32004e8644f4",
		"82a46974656da7575f4120262042a474696d65d7ff68305d004e86df2e",
	} {
		c, err := trace.Command(i)
		if err != nil {
			t.Fatal(err)
		}
		encoded, err := application.Applications.Commands.Encode(store.MsgPack, c)
		if err != nil {
			t.Fatal(err)
		}
		if got := hex.EncodeToString(encoded.Data); got != want {
			t.Errorf("command %d is %s, want %s", i, got, want)
		}
	}
}

func readAll(file io.Reader) (traces []*Trace, err error) {
	for trace, err := range Read(file) {
		if err != nil {
			return traces, err
		}
		traces = append(traces, trace)
	}
	return traces, nil
}

func compress(t testing.TB, text string) []byte {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := io.WriteString(z, text); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func sampleFile(t testing.TB, applications int, seed uint64) string {
	t.Helper()
	var b strings.Builder
	if err := Write(&b, Sample(applications, seed)); err != nil {
		t.Fatal(err)
	}
	return b.String()
}
