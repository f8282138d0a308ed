package privacy_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/annals-go/annals/store"
	"github.com/annals-go/annals/store/privacy"
)

// A commit of too many people is refused before anybody gets a key.
func TestTooManySubjectsOfACommit(t *testing.T) {
	t.Parallel()
	fields := make([]field, 101)
	for i := range fields {
		fields[i] = field{fmt.Sprintf("name%03d", i), fmt.Sprintf("value %03d", i), fmt.Sprint("person ", i)}
	}
	slices.SortFunc(fields, func(a, b field) int { return strings.Compare(a.name, b.name) })
	k, keys := newRing(t)
	log := privacy.NewLog(store.NewMemory(store.MemoryConfig{Codec: store.JSON}), k)
	c := commitOf(t, store.JSON, application, store.Head{}, fields...)
	_, err := log.Append(t.Context(), c)
	if !errors.Is(err, store.ErrTooLarge) || !errors.Is(err, store.ErrRefused) {
		t.Fatalf("append for 101 people: %v", err)
	}
	_, _, err = k.Seal(t.Context(), privacy.Scope{Stream: application}, store.JSON, c.Events[0].Data, c.Events[0].Personal)
	wantError(t, "seal for 101 people", err, store.ErrTooLarge)
	for r := range keys.All(t.Context()) {
		t.Fatalf("%s has a record", r.Subject)
	}
	mustAppend(t, log, commitOf(t, store.JSON, application, store.Head{}, fields[:100]...))
	more := privacy.NewLog(store.NewMemory(store.MemoryConfig{Codec: store.JSON}), ringWith(t, privacy.KeyringConfig{Keys: privacy.NewMemory(), Wrapper: wrapper(t), Subjects: 101}))
	mustAppend(t, more, commitOf(t, store.JSON, application, store.Head{}, fields...))
}
