//go:build linux

package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/annals-go/annals/store"
	"github.com/annals-go/annals/store/privacy"
)

func TestMessagesAreReadAsTheyAre(t *testing.T) {
	t.Parallel()
	stream := "INFO {}\r\nPUB a.b 5\r\nhello\r\nPUB a.b re.ply 0\r\n\r\nHPUB a.b re.ply 12 17\r\nNATS/1.0\r\n\r\nhello\r\n" +
		"MSG a.b 7 re.ply 2\r\nab\r\nHMSG a.b 7 16 16\r\nNATS/1.0 503\r\n\r\n\r\nPING\r\n"
	want := []message{
		{verb: "INFO"},
		{verb: "PUB", subject: "a.b", payload: []byte("hello")},
		{verb: "PUB", subject: "a.b", reply: "re.ply"},
		{verb: "HPUB", subject: "a.b", reply: "re.ply", payload: []byte("hello")},
		{verb: "MSG", subject: "a.b", reply: "re.ply", payload: []byte("ab")},
		{verb: "HMSG", subject: "a.b", status: true},
		{verb: "PING"},
	}
	r := bufio.NewReader(strings.NewReader(stream))
	var raw strings.Builder
	for i, w := range want {
		m, err := readMessage(r)
		if err != nil {
			t.Fatalf("message %d: %v", i, err)
		}
		raw.Write(m.raw)
		if m.verb != w.verb || m.subject != w.subject || m.reply != w.reply || m.status != w.status || string(m.payload) != string(w.payload) {
			t.Errorf("message %d is %+v, want %+v", i, m, w)
		}
	}
	if raw.String() != stream {
		t.Errorf("passed on is %q", raw.String())
	}
	for _, bad := range []string{"PUB a\r\n", "PUB a x\r\nx\r\n", "PUB a 99999999999\r\n", "HPUB a 9 5\r\nhello\r\n", "PUB a 5\r\nhel"} {
		if _, err := readMessage(bufio.NewReader(strings.NewReader(bad))); err == nil {
			t.Errorf("%q was read", bad)
		}
	}
}

func record(t *testing.T, key bool, done ...bool) []byte {
	t.Helper()
	r := privacy.Record{Subject: "ann"}
	if key {
		r.Key = store.KeyID(uuid.New())
	}
	for _, d := range done {
		r.Erased = append(r.Erased, privacy.Erasure{ID: uuid.New(), Done: d})
	}
	data, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// Each step's message is known, and is no other step's.
func TestStepsAreToldApart(t *testing.T) {
	t.Parallel()
	messages := map[privacy.Step]message{
		privacy.StepFence:  {subject: "loans.key.1.ann", payload: record(t, false, true, false)},
		privacy.StepErase:  {subject: "$JS.API.STREAM.MSG.DELETE.ANNALS_loans_keys_1", payload: []byte(`{"seq":1}`)},
		privacy.StepPurge:  {subject: "loans.node.B.ctl.subject.purge", payload: []byte(`{"subject":"ann"}`)},
		privacy.StepNotice: {subject: "loans.evt.3.annals-subject.ann", payload: []byte("ann")},
		privacy.StepAudit:  {subject: "loans.evt.4.annals-audit.2026-01", payload: []byte("subject.forgotten ann")},
		privacy.StepDone:   {subject: "loans.key.1.ann", payload: record(t, true, true, true)},
	}
	others := []message{
		{subject: "loans.key.1.ann", payload: record(t, true, true)},
		{subject: "loans.key.1.bob", payload: record(t, false, true, false)},
		{subject: "loans.evt.4.annals-audit.2026-01", payload: []byte("subject.forget ann")},
		{subject: "loans.evt.3.person.ann"},
		{subject: "loans.node.B.ctl.subject.purge", payload: []byte(`{"subject":"bob"}`)},
	}
	for _, step := range steps {
		waits, err := newTrap(moment{step: step}, &person{id: "ann", erased: 1})
		if err != nil {
			t.Fatal(err)
		}
		for of, m := range messages {
			if waits.isStep(&m) != (of == step) {
				t.Errorf("the trap for %s takes the message of %s: %v", step, of, of != step)
			}
		}
		for _, m := range others {
			if waits.isStep(&m) {
				t.Errorf("the trap for %s takes %s %s", step, m.subject, m.payload)
			}
		}
	}
}

// A gate keeps back what it kills before, and the answer to what it kills after.
func TestGateKills(t *testing.T) {
	t.Parallel()
	for _, after := range []bool{false, true} {
		server, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = server.Close() }()
		var armed traps
		waits, err := newTrap(moment{privacy.StepNotice, after}, &person{id: "ann"})
		if err != nil {
			t.Fatal(err)
		}
		armed.arm(waits)
		killed := make(chan string, 1)
		g, err := openGate("A", server.Addr().String(), &armed, func(node string) { killed <- node })
		if err != nil {
			t.Fatal(err)
		}
		node, err := net.Dial("tcp", g.listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		far, err := server.Accept()
		if err != nil {
			t.Fatal(err)
		}
		const asked = "PING\r\nPUB loans.evt.3.annals-subject.ann re.ply 3\r\nann\r\n"
		if _, err := io.WriteString(node, asked); err != nil {
			t.Fatal(err)
		}
		var got []byte
		if after { // a server answers what it has got
			got = make([]byte, len(asked))
			if _, err := io.ReadFull(far, got); err != nil {
				t.Fatal(err)
			}
			if _, err := io.WriteString(far, "MSG other 1 2\r\n{}\r\nMSG re.ply 1 2\r\n{}\r\n"); err != nil {
				t.Fatal(err)
			}
		}
		<-killed
		rest, _ := io.ReadAll(far)
		got = append(got, rest...)
		answers, _ := io.ReadAll(node)
		if strings.Contains(string(got), "annals-subject") != after || strings.Contains(string(answers), "re.ply") {
			t.Errorf("after %v: the server got %q, the node %q", after, got, answers)
		}
		g.close()
	}
}

func TestPlanHasEveryMoment(t *testing.T) {
	t.Parallel()
	for seed := range uint64(50) {
		seen, left, atOnce := map[string]int{}, 0, 0
		for _, r := range plan(rand.New(rand.NewPCG(seed, 6)), minRandom) {
			if r.at != nil {
				seen[r.at.String()]++
			} else if r.other && r.asked > 2 {
				t.Errorf("seed %d: there is no other node", seed)
			}
			if r.left {
				left++
			}
			if r.asked > 1 {
				atOnce++
			}
		}
		if len(seen) != len(allMoments()) || left == 0 || atOnce == 0 {
			t.Errorf("seed %d: %v, %d left, %d at once", seed, seen, left, atOnce)
		}
	}
}

func TestVerdict(t *testing.T) {
	t.Parallel()
	good := func() report {
		r := report{
			Forgets: 18, AtOnce: 5, Kills: 18, Steps: map[string]int{}, Random: map[string]int{"asked": 3, "other": 3}, Resumed: 1, Continued: 1,
			SeenBefore: 18, SeenAgain: 5, Controls: 12, ControlReadable: 12, ControlSources: map[string]int{}, Commands: 1000, Rebuilds: 5, InPlace: 5, Snapshots: 1, Letters: 1,
		}
		for _, m := range allMoments() {
			r.Steps[m] = 1
		}
		for _, s := range allSources() {
			r.ControlSources[s] = 1
		}
		return r
	}
	r := good()
	if err := r.verdict(allMoments(), allSources()); err != nil {
		t.Errorf("all is well: %v", err)
	}
	for name, c := range map[string]struct {
		spoil   func(*report)
		invalid bool
	}{
		"readable":  {func(r *report) { r.Readable = 1 }, false},
		"stuck":     {func(r *report) { r.Stuck = 1 }, false},
		"parity":    {func(r *report) { r.Parity = 1 }, false},
		"control":   {func(r *report) { r.ControlReadable-- }, false},
		"few":       {func(r *report) { r.Forgets = 11 }, true},
		"kills":     {func(r *report) { r.Kills = 11 }, true},
		"moment":    {func(r *report) { delete(r.Steps, "after purge") }, true},
		"random":    {func(r *report) { r.Random["other"] = 1 }, true},
		"alone":     {func(r *report) { r.Resumed = 0 }, true},
		"continued": {func(r *report) { r.Continued = 0 }, true},
		"unseen":    {func(r *report) { r.SeenBefore = 17 }, true},
		"again":     {func(r *report) { r.SeenAgain = 0 }, true},
		"blind":     {func(r *report) { delete(r.ControlSources, "snapshot") }, true},
		"idle":      {func(r *report) { r.Commands = 1 }, true},
		"rebuilds":  {func(r *report) { r.InPlace = 1 }, true},
		"snapshots": {func(r *report) { r.Snapshots = 0 }, true},
		"letters":   {func(r *report) { r.Letters = 0 }, true},
	} {
		r := good()
		c.spoil(&r)
		if err := r.verdict(allMoments(), allSources()); err == nil || errors.Is(err, errInvalid) != c.invalid {
			t.Errorf("%s: %v", name, err)
		}
	}
}
