package fold

import (
	"encoding/json"
	"maps"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/annals-go/annals/cmd/loans/application"
	"github.com/annals-go/annals/projector"
	"github.com/annals-go/annals/store"
)

// commits returns a log: one commit for each id, of one submitted application.
func commits(t *testing.T, ids ...string) []*store.Commit {
	t.Helper()
	var all []*store.Commit
	for i, id := range ids {
		submitted, err := application.Applications.Events.Encode(store.MsgPack, application.Submitted{Amount: 100})
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, &store.Commit{
			Stream: store.StreamID{Type: application.Applications.Type, ID: id}, ID: uuid.New(), Time: time.Unix(1_700_000_000, 0).UTC(),
			Sequence: uint64(i + 1), Local: uint64(i + 1), Hash: store.Hash{byte(i + 1)},
			Commands: []store.Command{{ID: id, Name: "submit"}}, Events: []store.Event{submitted.Event(0)},
		})
	}
	return all
}

func TestFoldOfTheLog(t *testing.T) {
	t.Parallel()
	log, all := commits(t, "a", "b"), Loans()
	if err := All(log, all...); err != nil {
		t.Fatal(err)
	}
	got := map[string]map[string]projector.Document{}
	for _, v := range all {
		docs, err := v.Documents()
		if err != nil {
			t.Fatal(err)
		}
		got[v.Name()] = docs
	}
	if len(got["applications"]) != 2 || got["applications"]["b"].Position != log[1].Last() {
		t.Errorf("applications: %v", got["applications"])
	}
	var sum struct {
		Count int `json:"count"`
	}
	if err := json.Unmarshal(got["outcomes"]["open"].Document, &sum); err != nil || sum.Count != 2 {
		t.Errorf("outcomes: %s, %v", got["outcomes"]["open"].Document, err)
	}
}

func TestAnEventThatCannotBeReadEndsTheFold(t *testing.T) {
	t.Parallel()
	log := commits(t, "a")
	log[0].Events[0].Type = "never-heard-of"
	if err := All(log, Loans()...); err == nil {
		t.Error("an unknown type was folded")
	}
}

func TestCompareFindsEveryDifference(t *testing.T) {
	t.Parallel()
	doc := func(p store.Position, text string) projector.Document {
		return projector.Document{Position: p, Document: json.RawMessage(text)}
	}
	want := map[string]projector.Document{"x": doc(1, `{"n":1,"m":2}`), "y": doc(2, `{}`)}
	for _, c := range []struct {
		name  string
		spoil func(got map[string]projector.Document)
		wrong int
	}{
		{"none", func(map[string]projector.Document) {}, 0},
		{"other spelling", func(got map[string]projector.Document) { got["x"] = doc(1, `{"m": 2, "n": 1}`) }, 0},
		{"missing", func(got map[string]projector.Document) { delete(got, "x") }, 1},
		{"too many", func(got map[string]projector.Document) { got["z"] = doc(1, `{}`) }, 1},
		{"position", func(got map[string]projector.Document) { got["y"] = doc(1, `{}`) }, 1},
		{"contents", func(got map[string]projector.Document) { got["x"] = doc(1, `{"n":1,"m":3}`) }, 1},
		{"no JSON", func(got map[string]projector.Document) { got["y"] = doc(2, ``) }, 1},
	} {
		got := maps.Clone(want)
		c.spoil(got)
		if found := Compare("v", want, got); len(found) != c.wrong {
			t.Errorf("%s: %d wrong, want %d: %v", c.name, len(found), c.wrong, found)
		}
	}
}

// TestChain holds the chain to the one that checkpoints carry, and finds each
// thing that a checkpoint can have wrong.
func TestChain(t *testing.T) {
	t.Parallel()
	log := commits(t, "a", "b", "c")
	var proof projector.Proof
	for _, c := range log {
		for e := range c.Recorded() {
			proof.Add(e.Position, e.ID)
		}
	}
	last := log[len(log)-1]
	right := projector.Checkpoint{Worker: "0", Position: last.Last(), Commit: projector.Hash(last.Hash), Proof: proof}
	chain := ChainOf(log, nil)
	if found := chain.Verify("v", right); len(found) != 0 {
		t.Errorf("a right checkpoint: %v", found)
	}
	for name, spoil := range map[string]func(c *projector.Checkpoint){
		"count":    func(c *projector.Checkpoint) { c.Events++ },
		"hash":     func(c *projector.Checkpoint) { c.Hash[3]++ },
		"position": func(c *projector.Checkpoint) { c.Position++ },
		"commit":   func(c *projector.Checkpoint) { c.Commit[0]++ },
	} {
		spoiled := right
		spoil(&spoiled)
		if found := chain.Verify("v", spoiled); len(found) != 1 {
			t.Errorf("another %s: found %v, want 1", name, found)
		}
	}
	if got := ChainOf(log, func(c *store.Commit) bool { return c.Stream.ID == "b" }); got.Events != 1 || got.Position != log[1].Last() {
		t.Errorf("the chain of one stream: %+v", got)
	}
}
