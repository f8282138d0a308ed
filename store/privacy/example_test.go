package privacy_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/google/uuid"

	"github.com/annals-go/annals/store"
	"github.com/annals-go/annals/store/privacy"
)

type submitted struct {
	Applicant string         `json:"applicant"`
	Email     string         `json:"email,omitempty" personal:"applicant"`
	Amount    int            `json:"amount"`
	Forgotten store.Shredded `json:"-"`
}

// A person is forgotten: her events are still there, without what was personal in them.
func Example() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "keys")
	check(err)
	defer os.RemoveAll(dir)
	check(privacy.GenerateFile(filepath.Join(dir, "keys"), "first"))
	wrapper, err := privacy.OpenFile(filepath.Join(dir, "keys"))
	check(err)
	keys := privacy.NewMemory()
	ring, err := privacy.NewKeyring(privacy.KeyringConfig{Keys: keys, Wrapper: wrapper})
	check(err)
	log := privacy.NewLog(store.NewMemory(store.MemoryConfig{}), ring)

	events := store.NewTypes(map[string]any{"submitted": submitted{}})
	encoded, err := events.Encode(log.Codec(), submitted{Applicant: "ann", Email: "ann@example.org", Amount: 15_000})
	check(err)
	stream := store.StreamID{Type: "application", ID: "173688"}
	_, err = log.Append(ctx, &store.Commit{
		Stream: stream, ID: uuid.New(), Commands: []store.Command{{ID: "c1", Name: "submit"}}, Events: []store.Event{encoded.Event(0)},
	})
	check(err)
	show := func() {
		for c, err := range log.Read(ctx, stream, store.Head{}) {
			check(err)
			e, err := events.Decode(log.Codec(), c.Events[0].Type, c.Events[0].Schema, c.Events[0].Data)
			check(err)
			s := e.(submitted)
			fmt.Printf("%d for %s, mail %q, forgotten %v\n", s.Amount, s.Applicant, s.Email, s.Forgotten.Paths())
		}
	}
	show()
	forgetter, err := privacy.NewForgetter(privacy.ForgetterConfig{
		Keys: keys, Purge: ring.Purge,
		Notice: func(context.Context, privacy.Erasure, string) (store.Position, error) { return 0, nil },
	})
	check(err)
	_, err = forgetter.Forget(ctx, privacy.Request{Subject: "ann", By: "officer", Why: "she asked for it"})
	check(err)
	show()
	// Output:
	// 15000 for ann, mail "ann@example.org", forgotten []
	// 15000 for ann, mail "", forgotten [email]
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}
