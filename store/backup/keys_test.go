package backup_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/annals-go/annals/store"
	"github.com/annals-go/annals/store/backup"
	"github.com/annals-go/annals/store/privacy"
	"github.com/annals-go/annals/store/segment"
)

// keyStore is a key store of a given realm, whose list can be interrupted.
type keyStore struct {
	*privacy.Memory
	realm uuid.UUID
	fail  int // so many lists fail half way
}

func newKeyStore(realm uuid.UUID) *keyStore {
	return &keyStore{Memory: privacy.NewMemory(), realm: realm}
}

func (k *keyStore) Realm() uuid.UUID { return k.realm }

func (k *keyStore) All(ctx context.Context) iter.Seq2[privacy.Record, error] {
	return func(yield func(privacy.Record, error) bool) {
		for r, err := range k.Memory.All(ctx) {
			if !yield(r, err) {
				return
			}
			if k.fail > 0 {
				k.fail--
				yield(privacy.Record{}, store.ErrUnavailable)
				return
			}
		}
	}
}

// put stores what change makes of a subject's record, and erases what was before.
func (k *keyStore) put(t *testing.T, subject string, change func(*privacy.Record)) privacy.Record {
	t.Helper()
	r := k.get(t, subject)
	change(&r)
	revision, err := k.Store(t.Context(), r)
	if err == nil {
		err = k.Erase(t.Context(), subject, revision)
	}
	if err != nil {
		t.Fatal(err)
	}
	return k.get(t, subject)
}

func (k *keyStore) get(t *testing.T, subject string) privacy.Record {
	t.Helper()
	r, err := k.Load(t.Context(), subject)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func newKey(r *privacy.Record) {
	id := uuid.New()
	r.Key, r.Wrapped, r.WrappedBy, r.Made = store.KeyID(id), []byte("the wrapped key "+id.String()), "kek", epoch
}

func forget(r *privacy.Record) {
	r.Erased = append(r.Erased, privacy.Erasure{Key: r.Key, ID: uuid.New(), At: epoch.Add(time.Duration(len(r.Erased)) * time.Hour), Done: true, Notice: 1})
	r.Key, r.Wrapped, r.WrappedBy, r.Made = store.KeyID{}, nil, "", time.Time{}
}

// clone returns another key store with what this one has now.
func (k *keyStore) clone(t *testing.T) *keyStore {
	t.Helper()
	other := newKeyStore(k.realm)
	for r, err := range k.Memory.All(t.Context()) {
		r.Revision = 0
		if err == nil {
			_, err = other.Store(t.Context(), r)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return other
}

func vaultIn(t *testing.T) (segment.Vault, string) {
	t.Helper()
	dir := t.TempDir()
	v, err := segment.Dir(dir)
	if err != nil {
		t.Fatal(err)
	}
	return v, dir
}

func mustCopy(t *testing.T, v segment.Vault, k *keyStore) *backup.KeysManifest {
	t.Helper()
	m, err := backup.CopyKeys(t.Context(), v, namespace, k, "")
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func mustOpenKeys(t *testing.T, v segment.Vault) *backup.KeysCopy {
	t.Helper()
	c, err := backup.OpenKeys(t.Context(), v, namespace)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// kept returns the records of the copy by subject.
func kept(t *testing.T, v segment.Vault) map[string]privacy.Record {
	t.Helper()
	all := map[string]privacy.Record{}
	for r, err := range mustOpenKeys(t, v).Records(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		all[r.Subject] = r
	}
	return all
}

func filesOf(t *testing.T, dir string) (all []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err == nil && !e.IsDir() {
			all = append(all, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// Each backup replaces the one copy of the keys, which is apart from the log.
func TestKeysApart(t *testing.T) {
	t.Parallel()
	s, keys := newSite(t), newKeyStore(uuid.New())
	place, dir := vaultIn(t)
	source := backup.Source{Keys: keys, KeysTo: place}
	var manifests []*backup.Manifest
	for i := range 3 {
		s.grow(t, 20)
		keys.put(t, fmt.Sprint("subject ", i), newKey)
		if i == 2 {
			keys.put(t, "subject 0", forget)
		}
		manifests = append(manifests, s.create(t, source, backup.Options{}))
		if files := filesOf(t, dir); len(files) != 2 {
			t.Errorf("files of keys: %v", files)
		}
		if m := mustOpenKeys(t, place).Manifest(); m.Backup != manifests[i].ID || m.Realm != keys.realm || m.Records != uint64(i+1) {
			t.Errorf("manifest: %+v", m)
		}
	}
	all := kept(t, place)
	if r := all["subject 0"]; len(all) != 3 || len(r.Wrapped) > 0 || len(r.Erased) != 1 || len(all["subject 1"].Wrapped) == 0 {
		t.Errorf("copied: %+v", all)
	}
	secret := all["subject 1"].Wrapped
	for _, file := range filesOf(t, s.dir) {
		data, err := os.ReadFile(file)
		if err != nil || bytes.Contains(data, secret) || bytes.Contains(data, []byte(base64.StdEncoding.EncodeToString(secret))) {
			t.Errorf("%s has a key: %v", file, err)
		}
	}
	for i, m := range manifests {
		b := s.open(t, m.ID)
		if got, found, err := b.VerifyKeys(t.Context(), place); err != nil || len(found) > 0 || got.Keys != 2 || got.Erased != 1 {
			t.Errorf("verify %d: %+v, %v, %v", i, got, found, err)
		}
		target := newTarget()
		at := target.target()
		restored := newKeyStore(keys.realm)
		at.Keys, at.KeysFrom = restored, place
		got, err := b.Restore(t.Context(), at, backup.Until{Position: store.PositionOf(5, 0)})
		if err != nil || got.Keys == nil || got.Keys.Records != 3 || got.Keys.Stored != 3 {
			t.Fatalf("restore %d: %+v, %v", i, got.Keys, err)
		}
		for subject, r := range all {
			if has := restored.get(t, subject); has.Key != r.Key || !bytes.Equal(has.Wrapped, r.Wrapped) || len(has.Erased) != len(r.Erased) {
				t.Errorf("restored %+v, want %+v", has, r)
			}
		}
	}
	if m := s.create(t, backup.Source{}, backup.Options{}); m.Realm != uuid.Nil {
		t.Errorf("a namespace without keys: %+v", m)
	}
	if m, found, err := s.open(t, "").VerifyKeys(t.Context(), place); m != nil || found != nil || err != nil {
		t.Errorf("verify: %+v, %v, %v", m, found, err)
	}
}

// A key that the copy or the key store knows to be erased is erased afterwards, whatever
// the other has; no other is.
func TestRestoreKeys(t *testing.T) {
	t.Parallel()
	none := func(*privacy.Record) {}
	for name, c := range map[string]struct {
		begin, inCopy, inStore func(*privacy.Record)
		key                    bool // there is one afterwards
		erased                 int
		want                   error
	}{
		"neither changed":                     {newKey, none, none, true, 0, nil},
		"forgotten since, as the copy knows":  {newKey, forget, none, false, 1, nil},
		"forgotten since, as the store knows": {newKey, none, forget, false, 1, nil},
		"forgotten twice":                     {newKey, forget, forget, false, 2, nil},
		"forgotten and seen again, copied":    {newKey, func(r *privacy.Record) { forget(r); newKey(r) }, none, true, 1, nil},
		"forgotten and seen again, not yet":   {newKey, none, func(r *privacy.Record) { forget(r); newKey(r) }, true, 1, nil},
		"new in the copy":                     {none, newKey, none, true, 0, nil},
		"new in the store":                    {none, none, newKey, true, 0, nil},
		"never had a key":                     {none, forget, none, false, 1, nil},
		"two keys":                            {none, newKey, newKey, true, 0, store.ErrConflict},
		"both were seen again":                {newKey, func(r *privacy.Record) { forget(r); newKey(r) }, func(r *privacy.Record) { forget(r); newKey(r) }, true, 0, store.ErrConflict},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			source := newKeyStore(uuid.New())
			source.put(t, "ann", c.begin)
			at := source.clone(t)
			before := at.get(t, "ann")
			v, _ := vaultIn(t)
			source.put(t, "ann", c.inCopy)
			mustCopy(t, v, source)
			at.put(t, "ann", c.inStore)
			for range 2 {
				_, err := mustOpenKeys(t, v).Restore(t.Context(), at, 0)
				if !errors.Is(err, c.want) {
					t.Fatalf("restore: %v, want %v", err, c.want)
				}
				if c.want != nil {
					return
				}
				r := at.get(t, "ann")
				if (r.Key != store.KeyID{}) != c.key || len(r.Erased) != c.erased {
					t.Errorf("afterwards: %+v", r)
				}
				if before.Key != r.Key && len(before.Wrapped) > 0 && at.Holds(before.Wrapped) {
					t.Error("the key store has the old key still")
				}
				if err := r.Validate(); err != nil {
					t.Error(err)
				}
			}
		})
	}
}

// interrupted is a key store that cannot be written to any more after some records.
type interrupted struct {
	*keyStore
	left int
}

func (k *interrupted) Store(ctx context.Context, r privacy.Record) (uint64, error) {
	if k.left--; k.left < 0 {
		return 0, store.ErrUnavailable
	}
	return k.keyStore.Store(ctx, r)
}

// A restore that ends in the middle is ended by the next one. One subject with two keys
// does not keep the others from theirs, and all of them are named.
func TestRestoreKeysGoesOn(t *testing.T) {
	t.Parallel()
	source := newKeyStore(uuid.New())
	for i := range 50 {
		source.put(t, fmt.Sprint(i), newKey)
	}
	v, _ := vaultIn(t)
	mustCopy(t, v, source)
	at := &interrupted{keyStore: newKeyStore(source.realm), left: 20}
	if done, err := mustOpenKeys(t, v).Restore(t.Context(), at, 0); !errors.Is(err, store.ErrUnavailable) || done.Stored != 20 {
		t.Fatalf("interrupted: %+v, %v", done, err)
	}
	strange := map[string]bool{"30": true, "40": true}
	for subject := range strange {
		at.put(t, subject, newKey)
	}
	at.left = 50
	done, err := mustOpenKeys(t, v).Restore(t.Context(), at, 0)
	var both *backup.KeyConflicts
	if !errors.As(err, &both) || !errors.Is(err, store.ErrConflict) || both.Count != 2 || done.Records != 50 || done.Stored != 28 || done.Conflicts != 2 {
		t.Fatalf("again: %+v, %v", done, err)
	}
	for _, c := range both.First {
		if !strange[c.Subject] || c.Has != at.get(t, c.Subject).Key || c.Copy != source.get(t, c.Subject).Key {
			t.Errorf("conflict %+v", c)
		}
	}
	for i := range 50 {
		subject := fmt.Sprint(i)
		if same := at.get(t, subject).Key == source.get(t, subject).Key; same == strange[subject] {
			t.Errorf("subject %s has the copy's key: %v", subject, same)
		}
	}
}

// An erasure whose notice is beyond what was restored is to be done again.
func TestRestoreKeysReopensErasures(t *testing.T) {
	t.Parallel()
	source := newKeyStore(uuid.New())
	for i, subject := range []string{"ann", "bob"} {
		source.put(t, subject, newKey)
		source.put(t, subject, forget)
		source.put(t, subject, func(r *privacy.Record) { r.Erased[0].Notice = store.PositionOf(uint64(10+i), 0) })
	}
	v, _ := vaultIn(t)
	mustCopy(t, v, source)
	at := newKeyStore(source.realm)
	done, err := mustOpenKeys(t, v).Restore(t.Context(), at, store.PositionOf(10, 3))
	if err != nil || done.Reopened != 1 || done.Stored != 2 {
		t.Fatalf("%+v, %v", done, err)
	}
	if e := at.get(t, "ann").Erased[0]; !e.Done || e.Notice != store.PositionOf(10, 0) {
		t.Errorf("ann: %+v", e)
	}
	if e := at.get(t, "bob").Erased[0]; e.Done || e.Notice != 0 {
		t.Errorf("bob: %+v", e)
	}
}

// A key store that was set back does not take erasures out of the copy, and that of
// another realm does not replace it.
func TestCopyKeysRefuses(t *testing.T) {
	t.Parallel()
	keys := newKeyStore(uuid.New())
	keys.put(t, "ann", newKey)
	back := keys.clone(t)
	keys.put(t, "ann", forget)
	v, dir := vaultIn(t)
	want := mustCopy(t, v, keys)
	if _, err := backup.CopyKeys(t.Context(), v, namespace, back, ""); !errors.Is(err, store.ErrAhead) {
		t.Errorf("set back: %v", err)
	}
	if _, err := backup.CopyKeys(t.Context(), v, namespace, newKeyStore(uuid.New()), ""); !errors.Is(err, store.ErrInvalid) {
		t.Errorf("another realm: %v", err)
	}
	if _, err := mustOpenKeys(t, v).Restore(t.Context(), newKeyStore(uuid.New()), 0); !errors.Is(err, store.ErrInvalid) {
		t.Errorf("restore to another realm: %v", err)
	}
	if m := mustOpenKeys(t, v).Manifest(); m.File != want.File || len(filesOf(t, dir)) != 2 {
		t.Errorf("the copy is %+v, was %+v; files %v", m, want, filesOf(t, dir))
	}
	if _, err := mustOpenKeys(t, v).Restore(t.Context(), back, 0); err != nil {
		t.Fatal(err)
	}
	mustCopy(t, v, back)
}

// A copy that is interrupted leaves the one before; the next removes what is left.
func TestCopyKeysAgain(t *testing.T) {
	t.Parallel()
	keys := newKeyStore(uuid.New())
	for i := range 5 {
		keys.put(t, fmt.Sprint(i), newKey)
	}
	v, dir := vaultIn(t)
	mustCopy(t, v, keys)
	keys.fail = 2
	mustCopy(t, v, keys) // it was moved twice
	keys.fail = 3
	if _, err := backup.CopyKeys(t.Context(), v, namespace, keys, ""); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("%v", err)
	}
	if len(kept(t, v)) != 5 {
		t.Error("the copy is not whole")
	}
	left := namespace + "/keys/records-left"
	if err := segment.WriteFile(t.Context(), v, left, []byte("a key")); err != nil {
		t.Fatal(err)
	}
	mustCopy(t, v, keys)
	if files := filesOf(t, dir); len(files) != 2 {
		t.Errorf("files: %v", files)
	}
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			_, err := backup.CopyKeys(context.Background(), v, namespace, keys, "")
			if err != nil && !errors.Is(err, store.ErrConflict) && !errors.Is(err, store.ErrDamaged) { // one that another removed as it was read
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if len(kept(t, v)) != 5 {
		t.Error("four at once have left no whole copy")
	}
	mustCopy(t, v, keys)
	if len(kept(t, v)) != 5 || len(filesOf(t, dir)) != 2 {
		t.Errorf("after four at once: %v", filesOf(t, dir))
	}
}

// Whatever is changed in the copy is found, and so is a copy that does not fit the backup.
func TestVerifyKeys(t *testing.T) {
	t.Parallel()
	s, keys := newSite(t), newKeyStore(uuid.New())
	v, dir := vaultIn(t)
	s.grow(t, 3)
	keys.put(t, "ann", newKey)
	source := backup.Source{Keys: keys, KeysTo: v}
	s.create(t, source, backup.Options{})
	b := s.open(t, "")
	for _, file := range filesOf(t, dir) {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for i := range data {
			broken := bytes.Clone(data)
			broken[i] ^= 0x10
			if err := os.WriteFile(file, broken, 0o600); err != nil {
				t.Fatal(err)
			}
			_, found, err := b.VerifyKeys(t.Context(), v)
			if len(found) == 0 && !errors.Is(err, store.ErrInvalid) {
				t.Fatalf("byte %d of %s is changed, and nobody notices: %v", i, file, err)
			}
		}
		if err := os.WriteFile(file, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if _, found, err := b.VerifyKeys(t.Context(), v); len(found) > 0 || err != nil {
		t.Fatalf("mended: %v, %v", found, err)
	}
	source.KeysTo = nil
	s.create(t, source, backup.Options{})
	if _, found, err := s.open(t, "").VerifyKeys(t.Context(), v); err != nil || len(found) != 1 || !strings.Contains(found[0].Reason, "before") {
		t.Errorf("an older copy: %v, %v", found, err)
	}
	empty, _ := vaultIn(t)
	if _, _, err := b.VerifyKeys(t.Context(), empty); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("no copy: %v", err)
	}
	if _, err := backup.CopyKeys(t.Context(), empty, namespace, newKeyStore(uuid.New()), "99999999"); err != nil {
		t.Fatal(err)
	}
	if _, found, err := b.VerifyKeys(t.Context(), empty); err != nil || len(found) != 1 || !strings.Contains(found[0].Reason, "realm") {
		t.Errorf("another realm: %v, %v", found, err)
	}
	at := newTarget().target()
	at.Keys, at.KeysFrom = newKeyStore(keys.realm), empty
	if _, err := b.Restore(t.Context(), at, backup.Until{}); !errors.Is(err, store.ErrInvalid) {
		t.Errorf("restore with another realm's keys: %v", err)
	}
}
