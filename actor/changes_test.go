package actor_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/annals-go/annals/actor"
	"github.com/annals-go/annals/store"
)

func shown(changes []actor.Change) (lines []string) {
	for _, c := range changes {
		lines = append(lines, fmt.Sprintf("%s %s %s -> %s", c.Op, c.Path, c.Old, c.Value))
	}
	return lines
}

func TestDiff(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil)
	b.must(t, "a", open{Owner: "Ann"})
	b.must(t, "a", deposit{Cents: 100})
	b.must(t, "a", withdraw{Cents: 30})
	d, err := b.system.Diff(t.Context(), stream("a"), actor.At{Version: 1}, actor.At{})
	if err != nil || d.From.Version != 1 || d.To.Version != 3 {
		t.Fatalf("got %+v, %v", d, err)
	}
	want := []string{
		"replace /cents 0 -> 70",
		`add /seen/actor_test.deposited  -> 1`,
		`add /seen/actor_test.withdrawn  -> 1`,
	}
	if diff := cmp.Diff(want, shown(d.Changes)); diff != "" {
		t.Errorf("from 1 to the end:\n%s", diff)
	}
	back, err := b.system.Diff(t.Context(), stream("a"), actor.At{Version: 3}, actor.At{Version: 2})
	if want := []string{"replace /cents 70 -> 100", "remove /seen/actor_test.withdrawn 1 -> "}; err != nil || cmp.Diff(want, shown(back.Changes)) != "" {
		t.Errorf("from 3 back to 2: %v, %v", shown(back.Changes), err)
	}
	if same, err := b.system.Diff(t.Context(), stream("a"), actor.At{Version: 3}, actor.At{}); err != nil || same.Changes != nil {
		t.Errorf("with itself: %+v, %v", same, err)
	}
	if _, err := b.system.Diff(t.Context(), stream("a"), actor.At{Version: 1}, actor.At{Version: 4}); !errors.Is(err, store.ErrInvalid) {
		t.Errorf("to a version to come: %v", err)
	}
}

func TestDiffOfTimes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, nil)
		defer b.stop()
		began := time.Now()
		b.must(t, "a", open{Owner: "Ann"})
		for range 3 {
			time.Sleep(time.Hour)
			b.must(t, "a", deposit{Cents: 5})
		}
		at := func(hours int) actor.At {
			return actor.At{Time: began.Add(time.Duration(hours)*time.Hour + time.Minute)}
		}
		d, err := b.system.Diff(t.Context(), stream("a"), at(1), at(3))
		if err != nil || d.From.Version != 2 || d.To.Version != 4 || shown(d.Changes)[0] != "replace /cents 5 -> 15" {
			t.Fatalf("got %+v, %v", d, err)
		}
		if _, err := b.system.Diff(t.Context(), stream("a"), at(-1), at(3)); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("from before the first event: %v", err)
		}
	})
}

// What all events changed, applied one after the other, gives each state; where
// one begins makes no difference, nor whether a snapshot is there.
func TestChanges(t *testing.T) {
	t.Parallel()
	for _, snapshots := range []bool{false, true} {
		b := newBench(t, func(c *actor.Config) {
			c.SnapshotEvery = 10
			if !snapshots {
				c.Snapshots = nil
			}
		})
		b.must(t, "a", open{Owner: "Ann"})
		for range 8 {
			b.must(t, "a", scatter{N: 3})
			b.must(t, "a", withdraw{Cents: 1})
		}
		b.stop()
		var all []store.Recorded[[]actor.Change]
		var state any = map[string]any{"owner": "", "cents": json.Number("0")}
		for r, err := range b.system.Changes(t.Context(), stream("a"), 0) {
			if err != nil {
				t.Fatal(err)
			}
			state = patched(t, state, r.Data)
			want, err := b.system.State(t.Context(), stream("a"), actor.At{Version: r.Version})
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(treeOf(t, want.Value), state); d != "" {
				t.Fatalf("version %d (-state +patched):\n%s", r.Version, d)
			}
			all = append(all, r)
		}
		if len(all) != 33 || all[4].Type != "withdrawn" || all[4].Command.Name != "withdraw" {
			t.Fatalf("%d events, the fifth is %+v", len(all), all[4])
		}
		for _, after := range []uint64{1, 10, 32, 33, 40} {
			var tail []store.Recorded[[]actor.Change]
			for r, err := range b.system.Changes(t.Context(), stream("a"), after) {
				if err != nil {
					t.Fatal(err)
				}
				tail = append(tail, r)
			}
			if want := all[min(after, 33):]; len(tail) != len(want) || len(want) > 0 && cmp.Diff(want, tail) != "" {
				t.Fatalf("after %d: %s", after, cmp.Diff(want, tail))
			}
		}
	}
}

func TestChangesThatCannotBeTold(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil)
	b.must(t, "a", open{Owner: "Ann"})
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	for name, test := range map[string]struct {
		stream store.StreamID
		want   error
	}{
		"alien type": {store.StreamID{Type: "alien", ID: "a"}, store.ErrUnknownType},
		"bad id":     {stream(""), store.ErrInvalid},
	} {
		for _, err := range b.system.Changes(t.Context(), test.stream, 0) {
			if !errors.Is(err, test.want) {
				t.Errorf("%s: %v, want %v", name, err, test.want)
			}
		}
	}
	for _, err := range b.system.Changes(ended, stream("a"), 0) {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("no time left: %v", err)
		}
	}
	for range b.system.Changes(t.Context(), stream("nobody"), 0) {
		t.Error("a stream without events changed something")
	}
	for range b.system.Changes(t.Context(), stream("a"), 0) {
		break // wants no more
	}
}

// patched applies changes as RFC 6902 says.
func patched(t *testing.T, tree any, changes []actor.Change) any {
	t.Helper()
	for _, c := range changes {
		var value any
		if c.Op != "remove" {
			value = parsed(t, c.Value)
		}
		var path []string
		if c.Path != "" {
			path = strings.Split(c.Path, "/")[1:]
		}
		tree = patchedAt(t, tree, path, c, value)
	}
	return tree
}

func patchedAt(t *testing.T, tree any, path []string, c actor.Change, value any) any {
	t.Helper()
	if len(path) == 0 {
		return value
	}
	name := strings.NewReplacer("~1", "/", "~0", "~").Replace(path[0])
	switch node := tree.(type) {
	case map[string]any:
		switch last := len(path) == 1; {
		case last && c.Op == "remove":
			delete(node, name)
		case last:
			node[name] = value
		default:
			node[name] = patchedAt(t, node[name], path[1:], c, value)
		}
		return node
	case []any:
		i, err := strconv.Atoi(name)
		if err != nil || i > len(node) {
			t.Fatalf("path %s: no such index", c.Path)
		}
		switch last := len(path) == 1; {
		case last && c.Op == "remove":
			return append(node[:i:i], node[i+1:]...)
		case last && c.Op == "add":
			return append(node[:i:i], append([]any{value}, node[i:]...)...)
		}
		node[i] = patchedAt(t, node[i], path[1:], c, value)
		return node
	}
	t.Fatalf("path %s leads through %T", c.Path, tree)
	return nil
}

func treeOf(t *testing.T, v any) any {
	t.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return parsed(t, data)
}

func parsed(t *testing.T, data []byte) (tree any) {
	t.Helper()
	d := json.NewDecoder(strings.NewReader(string(data)))
	d.UseNumber()
	if err := d.Decode(&tree); err != nil {
		t.Fatal(err)
	}
	return tree
}

// TestDifferencesOfAnyTrees: the changes between two values make the second of
// the first, whatever they are.
func TestDifferencesOfAnyTrees(t *testing.T) {
	t.Parallel()
	seed := uint64(time.Now().UnixNano())
	if text := os.Getenv("ANNALS_SEED"); text != "" {
		var err error
		if seed, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatalf("ANNALS_SEED: %v", err)
		}
	}
	t.Logf("ANNALS_SEED=%d", seed)
	r := rand.New(rand.NewPCG(seed, 1))
	for range 3000 {
		a := randomTree(r, 3)
		b := randomTree(r, 3)
		if r.IntN(2) == 0 { // mostly alike
			b = varied(r, parsed(t, mustMarshal(t, a)))
		}
		changes := actor.Differences(parsed(t, mustMarshal(t, a)), parsed(t, mustMarshal(t, b)))
		got := patched(t, parsed(t, mustMarshal(t, a)), changes)
		if want := parsed(t, mustMarshal(t, b)); !reflect.DeepEqual(want, got) {
			t.Fatalf("from %s\nto   %s\nby   %v\ngot  %s", mustMarshal(t, a), mustMarshal(t, b), shown(changes), mustMarshal(t, got))
		}
		if reflect.DeepEqual(parsed(t, mustMarshal(t, a)), parsed(t, mustMarshal(t, b))) != (len(changes) == 0) {
			t.Fatalf("%d changes from %s to %s", len(changes), mustMarshal(t, a), mustMarshal(t, b))
		}
	}
}

func mustMarshal(t *testing.T, v any) []byte {
	t.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func randomTree(r *rand.Rand, depth int) any {
	kinds := 8
	if depth == 0 {
		kinds = 5
	}
	switch r.IntN(kinds) {
	case 0:
		return nil
	case 1:
		return r.IntN(2) == 0
	case 2:
		return json.Number(strconv.FormatUint(r.Uint64(), 10)) // beyond what a float holds
	case 3, 4:
		return []string{"", "a", "a/b", "~", "é"}[r.IntN(5)]
	case 5:
		list := make([]any, r.IntN(5))
		for i := range list {
			list[i] = randomTree(r, depth-1)
		}
		return list
	}
	object := map[string]any{}
	for range r.IntN(5) {
		object[[]string{"", "a", "a/b", "~1", "~", "é"}[r.IntN(6)]] = randomTree(r, depth-1)
	}
	return object
}

// varied changes something here and there.
func varied(r *rand.Rand, tree any) any {
	switch node := tree.(type) {
	case map[string]any:
		for _, name := range slices.Sorted(maps.Keys(node)) {
			if r.IntN(3) == 0 {
				node[name] = varied(r, node[name])
			}
		}
		return node
	case []any:
		if at := r.IntN(len(node) + 1); r.IntN(2) == 0 {
			return append(node[:at:at], append([]any{randomTree(r, 1)}, node[at:]...)...)
		} else if at < len(node) {
			return append(node[:at:at], node[at+1:]...)
		}
		return node
	}
	return randomTree(r, 1)
}

// Each event costs as much as the state is large, and a commit may have a thousand of
// them: who has gone is not waited for.
func TestChangesEndWithTheirAsker(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil)
	defer b.stop()
	b.must(t, "a", open{Owner: "Ann"})
	b.must(t, "a", scatter{N: 50})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	told := 0
	for e, err := range b.system.Changes(ctx, stream("a"), 1) {
		if err != nil {
			if !errors.Is(err, context.Canceled) {
				t.Errorf("after the end: %v", err)
			}
			break
		}
		if told++; e.Version == 3 {
			cancel()
		}
	}
	if told != 2 {
		t.Errorf("%d events were told, want the 2 before the end", told)
	}
}
