package exchange_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/annals-go/annals/store"
	"github.com/annals-go/annals/store/exchange"
)

var errClosed = errors.New("closed")

func isClosed(err error) bool { return errors.Is(err, errClosed) }

// isInvalidLine reports whether err names the first line as one that is none.
func isInvalidLine(err error) bool {
	at, is := errors.AsType[*exchange.LineError](err)
	return is && at.Line == 1 && errors.Is(err, store.ErrInvalid)
}

func versionsText(first, last uint64) string { return fmt.Sprintf("%d to %d", first, last) }

// changed returns a line with one of its fields changed; the path is of names
// joined by dots.
func changed(t testing.TB, line []byte, path string, value any) []byte {
	t.Helper()
	var object map[string]any
	d := json.NewDecoder(bytes.NewReader(line))
	d.UseNumber()
	if err := d.Decode(&object); err != nil {
		t.Fatal(err)
	}
	in, names := object, strings.Split(path, ".")
	for _, name := range names[:len(names)-1] {
		in = in[name].(map[string]any)
	}
	in[names[len(names)-1]] = value
	changed, err := json.Marshal(object)
	if err != nil {
		t.Fatal(err)
	}
	return changed
}

// A file that is not one is refused at the line that is wrong, with an error
// that says in which way.
func TestHostileFiles(t *testing.T) {
	t.Parallel()
	w := newWriter(t, store.MsgPack)
	w.commit("1", line{Name: "a", Ratio: 0.1}, 2, 3)
	w.commit("2", 1)
	w.commit("1", 4)
	good := lines(t, w.log, exchange.JSONLines) // lines 1 to 3, 4, 5
	with := func(n int, line []byte) [][]byte {
		all := bytes.Split(bytes.Join(good, []byte("\n")), []byte("\n"))
		all[n-1] = line
		return all
	}
	set := func(n int, path string, value any) [][]byte { return with(n, changed(t, good[n-1], path, value)) }
	for _, test := range []struct {
		name  string
		lines [][]byte
		line  int
		want  error
	}{
		{"no JSON", with(4, []byte("hello")), 4, store.ErrInvalid},
		{"half a line", with(4, good[3][:40]), 4, store.ErrInvalid},
		{"two objects on a line", with(4, append(bytes.Clone(good[3]), good[4]...)), 4, store.ErrInvalid},
		{"a list", with(4, []byte("[]")), 4, store.ErrInvalid},
		{"null", with(4, []byte("null")), 4, store.ErrInvalid},
		{"deep JSON", with(4, []byte(strings.Repeat("[", 100_000))), 4, store.ErrInvalid},
		{"an empty object", with(4, []byte("{}")), 4, store.ErrInvalid},
		{"not UTF-8", with(4, []byte("{\"stream\":\"\xff/1\"}")), 4, store.ErrInvalid},
		{"a field that nobody knows", set(4, "more", 1), 4, store.ErrInvalid},
		{"a line without an end", with(4, bytes.Repeat([]byte("x"), exchange.MaxLineBytes+1)), 4, store.ErrTooLarge},
		{"no type", set(4, "stream", "1"), 4, store.ErrInvalid},
		{"an id that cannot be seen", set(4, "stream", "order/\u202e1"), 4, store.ErrInvalid},
		{"a name that is none", set(4, "type", "Do it"), 4, store.ErrInvalid},
		{"no schema", set(4, "schema", 0), 4, store.ErrInvalid},
		{"a negative version", set(4, "version", -1), 4, store.ErrInvalid},
		{"version 0", set(4, "version", 0), 4, store.ErrInvalid},
		{"a version with a fraction", set(4, "version", 1.5), 4, store.ErrInvalid},
		{"the largest version", set(4, "version", uint64(1<<64-1)), 4, exchange.ErrOrder},
		{"a time that is none", set(4, "time", "yesterday"), 4, store.ErrInvalid},
		{"no commit id", set(4, "commit.id", "00000000-0000-0000-0000-000000000000"), 4, store.ErrInvalid},
		{"a part that is none", set(4, "commit.index", -1), 4, store.ErrInvalid},
		{"too many parts", set(4, "commit.count", 1025), 4, store.ErrInvalid},
		{"a principal that is too long", set(4, "command.principal", strings.Repeat("x", 1025)), 4, store.ErrTooLarge},
		{"a body hash that is none", set(4, "command.body_hash", "xyz"), 4, store.ErrInvalid},
		{"a link that is none", set(4, "command.corrects", "order/1"), 4, store.ErrInvalid},
		{"the body of a command without data", set(1, "command.body", map[string]any{"schema": 1}), 1, store.ErrInvalid},
		{"the body of a command without a schema", set(4, "command.body", map[string]any{"data": 1}), 4, store.ErrInvalid},
		{"the body of a command that is changed", set(1, "command.body.data.name", "b"), 1, store.ErrInvalid},
		{"the body of a command that differs in its next event", set(2, "command.body.schema", 7), 3, store.ErrInvalid},
		{"another codec", set(4, "codec", "xml"), 4, store.ErrInvalid},
		{"of a namespace with another codec", set(4, "codec", "json"), 4, exchange.ErrEncoding},
		{"data twice under a name", with(4, bytes.Replace(good[3], []byte(`"data":1`), []byte(`"data":{"a":1,"a":2}`), 1)), 4, store.ErrInvalid},
		{"deep data", with(4, bytes.Replace(good[3], []byte(`"data":1`), []byte(`"data":`+strings.Repeat("[", 33)+strings.Repeat("]", 33)), 1)), 4, store.ErrInvalid},
		{"a number that no float holds", with(4, bytes.Replace(good[3], []byte(`"data":1`), []byte(`"data":1e999`), 1)), 4, store.ErrInvalid},
		{"no data", with(4, bytes.Replace(good[3], []byte(`,"data":1`), nil, 1)), 4, store.ErrInvalid},
		{"data beside packed were changed", set(1, "data.name", "b"), 1, store.ErrInvalid},
		{"packed beside data was changed", set(1, "packed", "AA=="), 1, store.ErrInvalid},
		{"the id of another event", set(4, "id", "0f1c1c0e-5a3b-4b0e-9d52-0e6a4c1f7a11"), 4, store.ErrInvalid},
		{"the command of another event", set(4, "command.id", "other"), 4, store.ErrInvalid},
		{"events of a commit at different times", set(2, "time", "2012-03-01T09:30:01Z"), 2, store.ErrInvalid},
		{"events of a commit under different leases", set(2, "epoch", 7), 2, store.ErrInvalid},
		{"a line is missing inside a commit", append(good[:1:1], good[2:]...), 2, exchange.ErrOrder},
		{"a line comes twice", append(good[:2:2], good[1:]...), 3, exchange.ErrOrder},
		{"two lines changed places", [][]byte{good[0], good[2], good[1]}, 2, exchange.ErrOrder},
		{"a version inside a commit is another", set(2, "version", 3), 2, exchange.ErrOrder},
		{"a commit is cut by another", append(good[:2:2], good[3:]...), 3, exchange.ErrOrder},
		{"the end is missing", good[:2], 1, exchange.ErrOrder},
		{"the beginning is missing", good[1:], 1, exchange.ErrOrder},
		{"a commit is missing", good[3:], 2, exchange.ErrOrder},
		{"a commit comes twice", append(good[:5:5], good[4]), 6, exchange.ErrOrder},
		{"a stream comes twice", append(good[:5:5], good...), 6, exchange.ErrOrder},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			for _, dry := range []bool{true, false} {
				to := store.NewMemory(store.MemoryConfig{})
				_, err := exchange.Import(t.Context(), exchange.ImportConfig{Log: to, DryRun: dry, AtOnce: 1}, file(test.lines)) // one at once: the first fault is told
				at, is := errors.AsType[*exchange.LineError](err)
				if !is || at.Line != test.line || !errors.Is(err, test.want) {
					t.Fatalf("dry run %v: got %v, want line %d and %v", dry, err, test.line, test.want)
				}
				if len(err.Error()) > 1000 {
					t.Errorf("the message has %d bytes", len(err.Error()))
				}
				if n := len(commits(t, to)); n > 3 || dry && n > 0 {
					t.Errorf("%d commits were stored", n)
				}
			}
		})
	}
}

// A stream that holds anything else is refused and left as it is.
func TestStreamsThatAreNotEmpty(t *testing.T) {
	t.Parallel()
	w := newWriter(t, store.MsgPack)
	w.commit("1", 1)
	w.commit("2", 1)
	w.commit("2", 2)
	all := lines(t, w.log, exchange.JSONLines)

	other := newWriter(t, store.MsgPack)
	other.commit("2", 7)
	_, err := exchange.Import(t.Context(), exchange.ImportConfig{Log: other.log, AtOnce: 1}, file(all))
	at, is := errors.AsType[*exchange.LineError](err)
	if !is || at.Line != 2 || at.Stream.ID != "2" || !errors.Is(err, exchange.ErrOtherEvents) || !errors.Is(err, store.ErrConflict) {
		t.Fatalf("got %v", err)
	}
	if n := len(commits(t, other.log)); n != 2 {
		t.Errorf("%d commits, want its own and that of stream 1", n)
	}
}

// A dry run refuses what the import would refuse, and takes what is stored already.
func TestDryRunCompares(t *testing.T) {
	t.Parallel()
	w := newWriter(t, store.MsgPack)
	for i := range 300 {
		w.commit(fmt.Sprint(i%200), i)
	}
	all := lines(t, w.log, exchange.JSONLines)
	try := func(log store.Log) error {
		before := len(commits(t, log))
		_, err := exchange.Import(t.Context(), exchange.ImportConfig{Log: log, AtOnce: 1, DryRun: true}, file(all))
		if after := len(commits(t, log)); after != before {
			t.Errorf("%d commits, before %d", after, before)
		}
		return err
	}
	if err := try(w.log); err != nil {
		t.Errorf("all is there: %v", err)
	}
	half := store.NewMemory(store.MemoryConfig{})
	if _, err := exchange.Import(t.Context(), exchange.ImportConfig{Log: half}, file(all[:130])); err != nil {
		t.Fatal(err)
	}
	if err := try(half); err != nil {
		t.Errorf("half is there: %v", err)
	}
	longer := newWriter(t, store.MsgPack)
	if _, err := exchange.Import(t.Context(), exchange.ImportConfig{Log: longer.log}, file(all[:250])); err != nil {
		t.Fatal(err)
	}
	for c, err := range longer.log.Read(t.Context(), store.StreamID{Type: "order", ID: "70"}, store.Head{}) {
		if err != nil {
			t.Fatal(err)
		}
		longer.heads[c.Stream] = c.Head()
	}
	longer.commit("70", 7) // where the file has another second commit
	err := try(longer.log)
	at, is := errors.AsType[*exchange.LineError](err)
	if !is || at.Line != 271 || at.Stream.ID != "70" || !errors.Is(err, exchange.ErrOtherEvents) {
		t.Errorf("got %v", err)
	}
}

// severed is a log whose streams were truncated to an archive that it lacks.
type severed struct{ store.Log }

func (severed) Append(_ context.Context, c *store.Commit) (store.Head, error) {
	gone := &store.ArchivedError{Stream: c.Stream, Below: store.Head{Version: 3}}
	return store.Head{}, &store.UnknownError{Stream: c.Stream, Reason: fmt.Errorf("%w: %w", store.ErrUnavailable, gone)}
}

// Without the archive that is needed it is said that it is missing; trying again
// would be of no use.
func TestImportWithoutTheArchive(t *testing.T) {
	t.Parallel()
	w := newWriter(t, store.MsgPack)
	w.commit("1", 1)
	_, err := exchange.Import(t.Context(), exchange.ImportConfig{Log: severed{w.log}}, file(lines(t, w.log, exchange.JSONLines)))
	if !errors.Is(err, store.ErrArchived) || errors.Is(err, store.ErrUnknown) || errors.Is(err, store.ErrUnavailable) {
		t.Errorf("got %v", err)
	}
}

func TestTooManyStreams(t *testing.T) {
	t.Parallel()
	w := newWriter(t, store.MsgPack).fill()
	to := store.NewMemory(store.MemoryConfig{})
	_, err := exchange.Import(t.Context(), exchange.ImportConfig{Log: to, MaxStreams: 3, AtOnce: 1}, file(lines(t, w.log, exchange.JSONLines)))
	if at, is := errors.AsType[*exchange.LineError](err); !is || !errors.Is(err, store.ErrTooLarge) || at.Line < 4 {
		t.Errorf("got %v", err)
	}
}

// A commit that is larger than any is refused before all of it is in memory.
func TestCommitThatIsTooLarge(t *testing.T) {
	t.Parallel()
	w := newWriter(t, store.MsgPack)
	w.commit("1", 1, 2, 3)
	all := lines(t, w.log, exchange.JSONLines)
	for i := range all {
		all[i] = changed(t, all[i], "data", strings.Repeat("x", 300<<10))
	}
	to := store.NewMemory(store.MemoryConfig{})
	_, err := exchange.Import(t.Context(), exchange.ImportConfig{Log: to}, file(all))
	if at, is := errors.AsType[*exchange.LineError](err); !is || at.Line != 2 || !errors.Is(err, store.ErrTooLarge) {
		t.Errorf("got %v", err)
	}
}

func TestFileThatCannotBeRead(t *testing.T) {
	t.Parallel()
	_, err := exchange.Import(t.Context(), exchange.ImportConfig{Log: store.NewMemory(store.MemoryConfig{})}, iotest.ErrReader(errClosed))
	if !isClosed(err) {
		t.Errorf("got %v", err)
	}
}

// Blank lines, ends of lines of other systems and a last line without an end do
// no harm.
func TestLinesOfOtherSystems(t *testing.T) {
	t.Parallel()
	w := newWriter(t, store.MsgPack).fill()
	text := "\r\n" + string(bytes.Join(lines(t, w.log, exchange.JSONLines), []byte("\r\n\r\n")))
	to := store.NewMemory(store.MemoryConfig{})
	count, err := exchange.Import(t.Context(), exchange.ImportConfig{Log: to}, iotest.OneByteReader(strings.NewReader(text)))
	if err != nil || count.Commits != 41 {
		t.Errorf("%+v, %v", count, err)
	}
}

func TestSettingsThatAreNone(t *testing.T) {
	t.Parallel()
	for _, config := range []exchange.ImportConfig{{AtOnce: -1}, {AtOnce: 257}, {MaxStreams: -1}} {
		config.Log = store.NewMemory(store.MemoryConfig{})
		if _, err := exchange.Import(t.Context(), config, strings.NewReader("")); !errors.Is(err, store.ErrInvalid) {
			t.Errorf("%+v: got %v", config, err)
		}
	}
}
