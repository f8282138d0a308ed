package node

import (
	"errors"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"

	"github.com/annals-go/annals/cmd/node/console"
	"github.com/annals-go/annals/gateway"
	"github.com/annals-go/annals/store"
	"github.com/annals-go/annals/store/ledger"
)

// reads are the commands that change nothing of a running system.
var reads = []string{
	"aggregate diff", "aggregate get", "aggregate history", "aggregate types",
	"archive ls", "archive verify", "audit ls", "backup ls", "backup verify",
	"cluster nodes", "cluster partitions", "dlq export", "dlq get", "dlq ls", "dlq skipped", "errors lookup", "event tail",
	"generate alerts", "generate mappings", "generate permissions", "keys ls", "projection info", "projection lag", "projection ls", "projection verify",
	"schema check", "schema ls", "schema show", "subject ls", "subject show", "version", "view get", "view ls", "view wait", "view watch", "whatif run",
}

// apart are the others whose doings are no acts of an operator.
var apart = map[string]string{
	"command send":  "a command, whose sender is kept with it",
	"dev":           "a process",
	"node":          "a process",
	"keys generate": "changes a file, and no system",
	"token new":     "makes a token of a file, and asks no system",
}

// acts are all commands that do something to a system, and the actions that each is recorded as.
var acts = map[string][]string{
	"archive run":         {"archive.run"},
	"backup create":       {"backup.create"},
	"backup restore":      {"backup.restore"},
	"cluster drain":       {"cluster.drain"},
	"cluster move":        {"cluster.move"},
	"cluster rebalance":   {"cluster.rebalance"},
	"cluster uncordon":    {"cluster.uncordon"},
	"dlq edit":            {"dlq.edit"},
	"dlq retry":           {"dlq.retry"},
	"dlq skip":            {"dlq.skip"},
	"event export":        {"event.export"}, // if it has personal data in plain
	"event import":        {"event.import"},
	"keys copy":           {"keys.copy"},
	"keys restore":        {"keys.restore"},
	"keys rewrap":         {"keys.rewrap"},
	"keys rotate":         {"keys.rotate"},
	"projection cancel":   {"projection.cancel"},
	"projection pause":    {"projection.pause"},
	"projection promote":  {"projection.promote"},
	"projection rebuild":  {"projection.rebuild"},
	"projection resume":   {"projection.resume"},
	"projection retire":   {"projection.retire"},
	"projection rewind":   {"projection.rewind"},
	"projection rollback": {"projection.rollback"},
	"provision":           {"provision"},
	"schema migrate":      {"schema.migrate"},
	"subject export":      {"subject.export"},
	"subject forget":      {"subject.forget", "subject.forgotten"},
}

// leaves are the commands of the tree that do something.
func leaves(c *cobra.Command, path string) []string {
	if !c.HasSubCommands() {
		return []string{path}
	}
	var all []string
	for _, sub := range c.Commands() {
		all = append(all, leaves(sub, strings.TrimSpace(path+" "+sub.Name()))...)
	}
	return all
}

// A command that is new has to be said to read, or to be recorded. Each that is recorded is given by
// a script, which finds that it is.
func TestEveryCommandReadsOrIsRecorded(t *testing.T) {
	t.Parallel()
	s, _, _ := testSession(nil)
	found := leaves(newRoot(s), "")
	for _, path := range found {
		n := 0
		for _, is := range []bool{slices.Contains(reads, path), apart[path] != "", acts[path] != nil} {
			if is {
				n++
			}
		}
		if n != 1 {
			t.Errorf("%q is in %d of the lists of this test, want 1", path, n)
		}
	}
	for _, path := range slices.Concat(reads, slices.Collect(maps.Keys(apart)), slices.Collect(maps.Keys(acts))) {
		if !slices.Contains(found, path) {
			t.Errorf("%q is in a list, and is no command", path)
		}
	}
	text := scripts(t)
	for path, actions := range acts {
		for _, action := range actions {
			has := regexp.MustCompile(`(?m)^(stdout|until) .*` + regexp.QuoteMeta(action) + `\b.*\b(done|failed)`)
			if !has.MatchString(text) {
				t.Errorf("%s: no script finds %s in the audit log", path, action)
			}
		}
	}
}

// Who does something to a system can say why. Only dlq skip and subject forget are not done without a reason.
func TestEveryActMayHaveAReason(t *testing.T) {
	t.Parallel()
	s, _, _ := testSession(nil)
	root := newRoot(s)
	for _, path := range leaves(root, "") {
		if path == "" {
			continue
		}
		cmd, _, err := root.Find(strings.Fields(path))
		if err != nil {
			t.Fatal(err)
		}
		if has := cmd.Flags().Lookup("why") != nil; has != (acts[path] != nil) {
			t.Errorf("%s: it is an act: %v, and has a flag for the reason: %v", path, !has, has)
		}
		for _, given := range []string{"", " \t\n", "\u200b\u2060", "\u3164\u200d"} {
			s.flags.why = given
			if err, wants := s.readReason(cmd), path == "dlq skip" || path == "subject forget"; (err != nil) != wants {
				t.Errorf("%s with the reason %q: %v; it wants one: %v", path, given, err, wants)
			}
		}
	}
}

// Each act that takes a reason takes the same ones.
func TestReasons(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", ledger.MaxWhyBytes+1)
	for _, path := range slices.Sorted(maps.Keys(acts)) {
		for given, want := range map[string]string{
			"new disks": "new disks", "  asked\n\tfor it\n": "asked for it", long[1:]: long[1:], " " + long[1:] + " ": long[1:], long: "TOO_LARGE",
		} {
			s, _, _ := testSession(nil)
			root := newRoot(s)
			cmd, _, err := root.Find(strings.Fields(path))
			if err != nil || cmd.Flags().Set("why", given) != nil {
				t.Fatalf("%s: %v", path, err)
			}
			s.prepared = true
			err = s.readReason(cmd)
			got := s.flags.why
			if err != nil {
				got = string(explain(t.Context(), s, err).Code)
			}
			if got != want {
				t.Errorf("%s: the reason %.40q is read as %.40q, want %.40q", path, given, got, want)
			}
		}
	}
}

// Who gives a reason that is too long is told which flag has how many bytes, and how many it may have.
func TestAReasonThatIsTooLong(t *testing.T) {
	t.Parallel()
	for flag, path := range map[string]string{"why": "cluster drain", "reason": "dlq skip"} {
		s, _, talk := testSession(nil)
		cmd, _, err := newRoot(s).Find(strings.Fields(path))
		if err != nil || cmd.Flags().Set(flag, strings.Repeat("ä", 1024)) != nil {
			t.Fatal(err)
		}
		s.prepared = true
		err = s.readReason(cmd)
		console.Tell(s.Console, explain(t.Context(), s, err))
		want := "error: the reason of --" + flag + " has 2,048 bytes, and the audit log keeps 1,024 bytes [TOO_LARGE]\n" +
			"  fix: give a shorter one"
		if got := talk.String(); !strings.HasPrefix(got, want) || !errors.Is(err, store.ErrTooLarge) {
			t.Errorf("%s: %s", path, got)
		}
	}
}

// A dry run records nothing, which is said to whoever gives a reason for it, once.
func TestADryRunKeepsNoReason(t *testing.T) {
	t.Parallel()
	dry := 0
	for _, path := range slices.Sorted(maps.Keys(acts)) {
		for _, given := range []string{"--why=later", "--why=later --dry-run", "--why=later --dry-run=false", "--dry-run"} {
			s, _, talk := testSession(nil)
			cmd, _, err := newRoot(s).Find(strings.Fields(path))
			if err != nil {
				t.Fatal(err)
			}
			if cmd.Flags().Lookup("dry-run") == nil {
				continue
			}
			dry++
			if cmd.ParseFlags(strings.Fields(given)) != nil || console.Prepare(s.Console, readableAttr) != nil {
				t.Fatalf("%s %s: %v", path, given, err)
			}
			if err := s.readReason(cmd); err != nil && given != "--dry-run" {
				t.Errorf("%s %s: %v", path, given, err)
			}
			kept := s.flags.why != ""
			s.reasonNotKept()
			s.reasonNotKept()
			if wants := given == "--why=later" || given == "--why=later --dry-run=false"; kept != wants {
				t.Errorf("%s %s: the reason is there for an act: %v, want %v", path, given, kept, wants)
			}
			said := strings.Count(talk.String(), "the reason is not kept")
			if wants := strings.Count(given, "--why"); said != wants {
				t.Errorf("%s %s: it is said %d times that the reason is not kept, want %d: %s", path, given, said, wants, talk)
			}
		}
	}
	if dry < 40 {
		t.Errorf("only %d dry runs were tried", dry)
	}
}

// What is skipped had --reason before all acts had --why.
func TestAReasonByEitherName(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ flags, why, fails string }{
		{"--reason bad", "bad", ""},
		{"--why bad", "bad", ""},
		{"--reason bad --why bad", "", "USAGE"},
		{"--reason= ", "", "USAGE"},
		{"", "", "USAGE"},
	} {
		s, _, _ := testSession(nil)
		cmd, _, err := newRoot(s).Find([]string{"dlq", "skip"})
		if err != nil || cmd.ParseFlags(strings.Split(c.flags, " ")) != nil {
			t.Fatal(err)
		}
		fails := ""
		if err := s.readReason(cmd); err != nil {
			fails = string(explain(t.Context(), s, err).Code)
		}
		if s.flags.why != c.why && fails == "" || fails != c.fails {
			t.Errorf("%q: %q, error %q", c.flags, s.flags.why, fails)
		}
	}
}

// filled are recorded in a log that they have filled, before any node serves it.
var filled = []string{"backup.restore", "schema.migrate"}

// What a command carries out itself a node has to take, or nothing can be done while one serves.
func TestNodesRecordWhatCommandsDo(t *testing.T) {
	t.Parallel()
	var verbs []string
	for _, v := range gateway.ControlVerbs() {
		verbs = append(verbs, v.Verb)
	}
	for path, actions := range acts {
		by := slices.Contains(filled, actions[0]) || slices.Contains(verbs, actions[0]) // a node carries it out
		if is := gateway.Recordable(actions[0]); is == by {
			t.Errorf("%s: a node carries %s out, or it fills a log: %v; nodes record it: %v", path, actions[0], by, is)
		}
	}
	s, _, _ := testSession(nil)
	if err := s.acting(t.Context(), "keys.unheard", "", func() error { t.Error("it was done"); return nil }); err == nil {
		t.Error("an action that no node records is carried out")
	}
}

func scripts(t *testing.T) string {
	t.Helper()
	files, err := filepath.Glob("testdata/script/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scripts: %v", err)
	}
	var all strings.Builder
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		all.Write(text)
	}
	return all.String()
}

func TestAuditFilter(t *testing.T) {
	t.Parallel()
	a := ledger.Act{Action: "dlq.skip", What: "accounts/17", By: ledger.Claimed("ann"), At: time.Now()}
	for _, c := range []struct {
		filter auditFilter
		want   bool
	}{
		{auditFilter{}, true},
		{auditFilter{by: "ann"}, true},
		{auditFilter{by: "unverified:*"}, true},
		{auditFilter{by: "an"}, false},
		{auditFilter{action: "dlq.*"}, true},
		{auditFilter{action: "dlq"}, false},
		{auditFilter{action: "dlq.skip", what: "accounts/1"}, false},
		{auditFilter{action: "dlq.skip", what: "accounts/1*"}, true},
		{auditFilter{what: "account./17"}, false},
	} {
		if got := c.filter.wants()(a); got != c.want {
			t.Errorf("%+v: %v", c.filter, got)
		}
	}
}
