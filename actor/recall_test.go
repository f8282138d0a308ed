package actor

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"testing"

	"github.com/annals-go/annals/store"
)

// learnCommits feeds n commits of up to most commands each and returns the ids.
func learnCommits(r *recall, random *rand.Rand, n, most int) (ids []string, head store.Head) {
	for i := range n {
		c := &store.Commit{Stream: store.StreamID{Type: "account", ID: "a"}, After: head, Sequence: uint64(i + 1)}
		for range 1 + random.IntN(most) {
			id := fmt.Sprintf("command-%d", len(ids))
			ids = append(ids, id)
			for range 1 + random.IntN(3) {
				c.Events = append(c.Events, store.Event{Type: "deposited", Command: len(c.Commands)})
			}
			c.Commands = append(c.Commands, store.Command{ID: id, BodyHash: 1})
		}
		c.Hash = store.Hash{byte(i), byte(i >> 8), 1}
		r.learn(c, nil)
		head = c.Head()
	}
	return ids, head
}

func TestRecallKnowsEveryCommand(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	for _, most := range []int{1, 7, 300} {
		r := &recall{}
		ids, head := learnCommits(r, rand.New(rand.NewPCG(seed, 1)), 6000/most, most)
		for i, id := range ids {
			if i >= len(ids)-windowLen {
				if r.find(keyOf(id)) == nil {
					t.Fatalf("up to %d commands a commit: %s of %d is not in the window", most, id, len(ids))
				}
			} else if len(r.suspects(keyOf(id))) == 0 {
				t.Fatalf("up to %d commands a commit: %s of %d is not in the filter", most, id, len(ids))
			}
		}
		if last := r.sections[len(r.sections)-1].last; last != head.Version {
			t.Fatalf("the filter ends at version %d, the stream at %d", last, head.Version)
		}
		for i := 1; i < len(r.sections); i++ {
			if r.sections[i].after.Version != r.sections[i-1].last {
				t.Fatalf("sections %d and %d leave a gap", i-1, i)
			}
		}
	}
}

func TestSmallStreamHasNoFilter(t *testing.T) {
	t.Parallel()
	r := &recall{}
	learnCommits(r, rand.New(rand.NewPCG(1, 1)), windowLen, 1)
	if len(r.sections) != 0 {
		t.Fatalf("%d sections for %d commands", len(r.sections), windowLen)
	}
}

func TestFilterIsBoundedAndRarelyWrong(t *testing.T) {
	t.Parallel()
	r := &recall{}
	learnCommits(r, rand.New(rand.NewPCG(2, 2)), 120_000, 1)
	if len(r.sections) != maxSections {
		t.Fatalf("%d sections, want %d", len(r.sections), maxSections)
	}
	known := 0
	for i := range r.sections {
		known += r.sections[i].count
	}
	if known < 100_000 {
		t.Fatalf("the filter knows %d ids, want at least 100,000", known)
	}
	const strangers = 50_000
	wrong := 0
	for i := range strangers {
		wrong += len(r.suspects(keyOf(fmt.Sprintf("stranger-%d", i))))
	}
	// 38 sections of 0.0042 % each are 0.16 %; three times that is beyond chance.
	if share := float64(wrong) / strangers; share > 0.0048 {
		t.Fatalf("a stranger is suspected %.4f times on average", share)
	}
}

func TestMadeUpIDsAreNotRemembered(t *testing.T) {
	t.Parallel()
	r := &recall{}
	r.learn(&store.Commit{Commands: []store.Command{{ID: "x"}}, Events: []store.Event{{Type: "opened"}}, Sequence: 1}, nil)
	if len(r.window) != 0 {
		t.Fatal("an id that cannot come again takes room")
	}
}

func TestRecallSurvivesEncoding(t *testing.T) {
	t.Parallel()
	for _, n := range []int{0, 1, 200, 700, 9000} {
		r := &recall{}
		learnCommits(r, rand.New(rand.NewPCG(3, uint64(n))), n, 2)
		data := r.encode()
		back, err := decodeRecall(data)
		if err != nil {
			t.Fatalf("%d commits: %v", n, err)
		}
		r.window, r.oldest = r.inOrder(), 0
		if !reflect.DeepEqual(r, back) {
			t.Fatalf("%d commits: another recall", n)
		}
		for cut := 0; cut < len(data); cut += 1 + len(data)/97 {
			if _, err := decodeRecall(data[:cut]); !errors.Is(err, store.ErrDamaged) {
				t.Fatalf("%d commits, cut at %d of %d: %v", n, cut, len(data), err)
			}
		}
	}
}

func FuzzRecall(f *testing.F) {
	r := &recall{}
	learnCommits(r, rand.New(rand.NewPCG(4, 4)), 300, 2)
	f.Add(r.encode())
	f.Add((&recall{}).encode())
	f.Add([]byte{recallFormat, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01})
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := decodeRecall(data)
		if err != nil {
			if !errors.Is(err, store.ErrDamaged) {
				t.Fatalf("untyped error %v", err)
			}
			return
		}
		if _, err := decodeRecall(r.encode()); err != nil {
			t.Fatalf("what was accepted cannot be read again: %v", err)
		}
	})
}
