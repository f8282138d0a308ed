package sqlite_test

import (
	"bufio"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/annals-go/annals/projector"
	"github.com/annals-go/annals/projector/sqlite"
	"github.com/annals-go/annals/store"
)

// A test that needs another process starts the test binary again, with a role.
const (
	roleVariable = "ANNALS_SQLITE_ROLE"
	dirVariable  = "ANNALS_SQLITE_DIR"
)

var (
	kills = flag.Int("kills", 12, "how often a process is killed in the middle of its commits")
	seed  = flag.Uint64("seed", 0, "of the random tests, 0 for another each time")
)

// play is what the other process does; it returns the exit code.
func play(role, dir string) int {
	roles := map[string]func(context.Context, *sqlite.Store) error{
		"commit for ever": commitForEver, "count": countTo, "hold": hold, "fill the disk": fillDisk,
	}
	s := sqlite.New(sqlite.Config{Dir: dir, Namespace: "app"})
	err := roles[role](context.Background(), s)
	if err = errors.Join(err, s.Close()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// process is one that was started with a role.
type process struct {
	cmd   *exec.Cmd
	lines *bufio.Scanner
	tell  io.Writer
}

func startProcess(t *testing.T, role, dir string) *process {
	t.Helper()
	p := newProcess(t, role, dir)
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return p
}

func newProcess(t *testing.T, role, dir string) *process {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), roleVariable+"="+role, dirVariable+"="+dir)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if cmd.Process != nil {
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
		}
	})
	return &process{cmd, bufio.NewScanner(out), in}
}

// line is the next line that the process prints.
func (p *process) line(t *testing.T) string {
	t.Helper()
	if !p.lines.Scan() {
		t.Fatal("the other process ended:", p.lines.Err())
	}
	return p.lines.Text()
}

func openModel(ctx context.Context, s *sqlite.Store) (projector.Querier, error) {
	v, err := s.Open(ctx, projector.Layout{Model: model, Tables: tables})
	if err != nil {
		return nil, err
	}
	return v.(projector.Querier), nil
}

var tables = []string{`CREATE TABLE steps (n INTEGER PRIMARY KEY)`}

// commitForEver changes all documents and a table in every commit.
func commitForEver(ctx context.Context, s *sqlite.Store) error {
	v, err := openModel(ctx, s)
	if err != nil {
		return err
	}
	c, err := v.Load(ctx, "0")
	for err == nil {
		c.Position++
		n := int(c.Position)
		w := projector.Write{Checkpoint: c, Notes: []projector.Note{{Key: "n", Value: fmt.Append(nil, n)}}}
		for i := range 200 {
			w.Documents = append(w.Documents, doc(fmt.Sprintf("key-%d", i), c.Position, n))
		}
		w.Apply = func(ctx context.Context, tx *sql.Tx) error {
			_, err := tx.ExecContext(ctx, `INSERT INTO steps VALUES (?)`, n)
			return err
		}
		if c, err = v.Commit(ctx, w); err == nil {
			fmt.Fprintln(os.Stdout, c.Position)
		}
	}
	return err
}

// A process is killed in the middle of its commits. Whatever it had been told is
// stored is there; documents, notes, tables and checkpoint are of one commit.
func TestKilledInTheMiddle(t *testing.T) {
	t.Parallel()
	from := *seed
	if from == 0 {
		from = rand.Uint64()
	}
	t.Logf("-seed=%d", from)
	r := rand.New(rand.NewPCG(from, from))
	dir := t.TempDir()
	for range *kills {
		p := startProcess(t, "commit for ever", dir)
		told := ""
		for range 1 + r.IntN(20) {
			told = p.line(t)
		}
		kill := time.NewTimer(time.Duration(r.IntN(5_000)) * time.Microsecond)
		<-kill.C
		_ = p.cmd.Process.Kill()
		for p.lines.Scan() {
			told = p.lines.Text()
		}
		_ = p.cmd.Wait()
		wantWhole(t, dir, told)
	}
}

func wantWhole(t *testing.T, dir, told string) {
	t.Helper()
	s := sqlite.New(sqlite.Config{Dir: dir, Namespace: "app"})
	v, err := openModel(within(t), s)
	if err != nil {
		t.Fatal(err)
	}
	c := load(t, v)
	at := int(c.Position)
	if fmt.Sprint(at) != told && fmt.Sprint(at-1) != told {
		t.Errorf("the checkpoint is at %d, and %s was the last that the process was told of", at, told)
	}
	docs, _, err := v.List(within(t), "", 1000, c)
	if err != nil || len(docs) != 200 {
		t.Fatalf("%d documents, %v", len(docs), err)
	}
	for _, d := range docs {
		if got := valueOf(t, d); got != at || d.Position != c.Position {
			t.Errorf("document %s is %d at %d, the checkpoint is at %d", d.Key, got, d.Position, at)
		}
	}
	if notes, err := v.Notes(within(t), "0"); err != nil || len(notes) != 1 || string(notes[0].Value) != fmt.Sprint(at) {
		t.Errorf("notes are %s, %v", notes, err)
	}
	var steps int
	err = v.Query(within(t), func(tx *sql.Tx) error { return tx.QueryRow(`SELECT count(*) FROM steps`).Scan(&steps) })
	if err != nil || steps != at {
		t.Errorf("the table has %d rows, %v; the checkpoint is at %d", steps, err, at)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

func valueOf(t testing.TB, d projector.Document) int {
	t.Helper()
	var v struct{ N int }
	if err := json.Unmarshal(d.Document, &v); err != nil {
		t.Fatalf("document %q is %q: %v", d.Key, d.Document, err)
	}
	return v.N
}

// counts is how often each of two processes counts.
const counts = 150

// countTo counts in a document, and begins again whenever another was faster.
func countTo(ctx context.Context, s *sqlite.Store) error {
	v, err := openModel(ctx, s)
	if err != nil {
		return err
	}
	for done := 0; done < counts; {
		c, err := v.Load(ctx, "0")
		if err != nil {
			return err
		}
		found, err := v.Get(ctx, []string{"count"}, c)
		if err != nil {
			return err
		}
		var d struct{ N int }
		if len(found) > 0 {
			if err := json.Unmarshal(found[0].Document, &d); err != nil {
				return err
			}
		}
		c.Position++
		switch _, err = v.Commit(ctx, projector.Write{Checkpoint: c, Documents: []projector.Document{doc("count", c.Position, d.N+1)}}); {
		case err == nil:
			done++
		case !errors.Is(err, projector.ErrFenced):
			return err
		}
	}
	return nil
}

// Two processes work on one model, each as if it were alone. The store lets
// each commit of one or the other through, and none that rests on an old checkpoint.
func TestTwoProcessesOnOneFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	other := startProcess(t, "count", dir)
	s := openStore(t, dir)
	if err := countTo(within(t), s); err != nil {
		t.Error(err)
	}
	if err := other.cmd.Wait(); err != nil {
		t.Error("the other process:", err)
	}
	v, err := openModel(within(t), s)
	if err != nil {
		t.Fatal(err)
	}
	c := load(t, v)
	found, err := v.Get(within(t), []string{"count"}, c)
	if err != nil || len(found) != 1 {
		t.Fatal(found, err)
	}
	if got := valueOf(t, found[0]); got != 2*counts || c.Position != 2*counts {
		t.Errorf("counted %d at %d, want %d", got, c.Position, 2*counts)
	}
}

// hold opens a model, and when told so uses it and says what came of it.
func hold(ctx context.Context, s *sqlite.Store) error {
	v, err := openModel(ctx, s)
	if err != nil {
		return err
	}
	c, err := v.Load(ctx, "0")
	if err != nil {
		return err
	}
	fmt.Fprintln(os.Stdout, "ready")
	for told := bufio.NewScanner(os.Stdin); told.Scan(); {
		c.Position++
		next, err := v.Commit(ctx, projector.Write{Checkpoint: c, Documents: []projector.Document{doc("a", c.Position, 77)}})
		if err == nil {
			c = next
		}
		_, read := v.Get(ctx, []string{"a"}, c)
		fmt.Fprintln(os.Stdout, "commit:", wordFor(err), "read:", wordFor(read))
	}
	return nil
}

func wordFor(err error) string {
	words := []string{}
	for _, e := range []error{projector.ErrFenced, store.ErrUnavailable, store.ErrUnknown, store.ErrDamaged, store.ErrInvalid} {
		if errors.Is(err, e) {
			words = append(words, e.Error())
		}
	}
	if err == nil {
		return "done"
	}
	return strings.Join(words, ", ")
}

func (p *process) ask(t *testing.T) string {
	t.Helper()
	if _, err := io.WriteString(p.tell, "go\n"); err != nil {
		t.Fatal(err)
	}
	return p.line(t)
}

// A model is dropped and made anew, or its file is taken away, while another
// process has it open. That process writes nothing into the new one, and does not
// serve the old one.
func TestTakenAwayFromAnotherProcess(t *testing.T) {
	t.Parallel()
	refused := fmt.Sprintf("commit: %s read: %s", strings.Join([]string{projector.ErrFenced.Error(), store.ErrUnavailable.Error()}, ", "), store.ErrUnavailable)
	for name, take := range map[string]func(t *testing.T, dir string, s *sqlite.Store){
		"dropped": func(t *testing.T, _ string, s *sqlite.Store) {
			if err := s.Drop(within(t), model); err != nil {
				t.Fatal(err)
			}
		},
		"removed by hand": func(t *testing.T, dir string, _ *sqlite.Store) {
			for _, end := range []string{"", "-wal", "-shm"} {
				if err := os.Remove(fileOf(dir) + end); err != nil {
					t.Fatal(err)
				}
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			s := openStore(t, dir)
			v, err := openModel(within(t), s)
			if err != nil {
				t.Fatal(err)
			}
			commit(t, v, load(t, v), doc("a", 1, 1))
			other := startProcess(t, "hold", dir)
			other.line(t)
			if got := other.ask(t); got != "commit: done read: done" {
				t.Fatal(got)
			}
			take(t, dir, s)
			if got := other.ask(t); got != refused {
				t.Errorf("without a file: %s, want %s", got, refused)
			}
			if v, err = openModel(within(t), s); err != nil {
				t.Fatal(err)
			}
			c := load(t, v)
			if c.Revision != 0 {
				t.Errorf("the new model begins with %+v", c)
			}
			for range 3 { // to the other's revision, and beyond
				c = commit(t, v, c, doc("b", 1, 1))
			}
			if got := other.ask(t); got != refused {
				t.Errorf("beside a new file: %s, want %s", got, refused)
			}
			if diff := load(t, v); diff.Revision != c.Revision {
				t.Errorf("the checkpoint is %+v, want %+v", diff, c)
			}
			if found, err := v.Get(within(t), []string{"a", "b"}, c); err != nil || len(found) != 1 {
				t.Errorf("documents are %v, %v", found, err)
			}
		})
	}
}
