package backup_test

import (
	"errors"
	"testing"

	"github.com/google/uuid"

	"github.com/annals-go/annals/store"
	"github.com/annals-go/annals/store/backup"
)

// A place that a namespace was archived to takes no keys of it.
func TestKeysAndArchiveAreApart(t *testing.T) {
	t.Parallel()
	keys := newKeyStore(uuid.New())
	keys.put(t, "ann", newKey)
	v, _ := vaultIn(t)
	d, err := v.Create(t.Context(), namespace+"/20260102/run.json")
	if err == nil {
		err = d.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	if _, err := backup.CopyKeys(t.Context(), v, namespace, keys, ""); !errors.Is(err, store.ErrInvalid) {
		t.Errorf("keys in an archive: %v", err)
	}
	if _, err := backup.CopyKeys(t.Context(), v, "another", keys, ""); err != nil {
		t.Errorf("keys of another namespace: %v", err)
	}
}

// A place has backups of a namespace or its keys, never both, whichever came first.
func TestKeysAndBackupsAreApart(t *testing.T) {
	t.Parallel()
	s, keys := newSite(t), newKeyStore(uuid.New())
	s.grow(t, 3)
	keys.put(t, "ann", newKey)
	if _, err := backup.Create(t.Context(), s.vault, namespace, backup.Source{Log: s.log, Keys: keys, KeysTo: s.vault}, backup.Options{}); !errors.Is(err, store.ErrInvalid) {
		t.Errorf("both at once: %v", err)
	}
	s.create(t, backup.Source{}, backup.Options{})
	if _, err := backup.CopyKeys(t.Context(), s.vault, namespace, keys, ""); !errors.Is(err, store.ErrInvalid) {
		t.Errorf("keys among backups: %v", err)
	}
	if _, err := backup.CopyKeys(t.Context(), s.vault, "another", keys, ""); err != nil {
		t.Errorf("keys of another namespace: %v", err)
	}
	v, dir := vaultIn(t)
	mustCopy(t, v, keys)
	if _, err := backup.Create(t.Context(), v, namespace, backup.Source{Log: s.log}, backup.Options{}); !errors.Is(err, store.ErrInvalid) || len(filesOf(t, dir)) != 2 {
		t.Errorf("backups among keys: %v, %v", err, filesOf(t, dir))
	}
}

// A subject with two keys does not keep a backup from being restored, with all that comes after the keys: it is
// told in the end, each time.
func TestRestoreWithTwoKeysOfOneSubject(t *testing.T) {
	t.Parallel()
	s, keys := newSite(t), newKeyStore(uuid.New())
	s.grow(t, 20)
	s.snapshot(t)
	for _, subject := range []string{"ann", "bob", "cleo"} {
		keys.put(t, subject, newKey)
	}
	place, _ := vaultIn(t)
	s.create(t, backup.Source{Keys: keys, KeysTo: place, Snapshots: s.snapshots, Tables: []backup.Table{table{"a": []byte("b")}}}, backup.Options{})
	has := newKeyStore(keys.realm)
	has.put(t, "bob", newKey)
	own := has.get(t, "bob").Key
	to := newTarget()
	at := to.target()
	at.Keys, at.KeysFrom = has, place
	got, err := s.open(t, "").Restore(t.Context(), at, backup.Until{})
	both, is := errors.AsType[*backup.KeyConflicts](err)
	if !is || both.Count != 1 || both.First[0].Subject != "bob" {
		t.Fatalf("restore: %v", err)
	}
	if got.Commits != 20 || got.Snapshots == 0 || len(to.table) != 1 || got.Keys == nil || got.Keys.Conflicts != 1 || got.Keys.Stored != 2 {
		t.Errorf("restored %+v, keys %+v, %d of the table", got, got.Keys, len(to.table))
	}
	if has.get(t, "bob").Key != own || has.get(t, "cleo").Key != keys.get(t, "cleo").Key {
		t.Error("the keys are not those that there can be")
	}
}
