package jetstream

import (
	"bytes"
	"crypto/rand"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/annals-go/annals/store"
	"github.com/annals-go/annals/store/backup"
	"github.com/annals-go/annals/store/privacy"
	"github.com/annals-go/annals/store/segment"
)

func mustErase(t *testing.T, f *fixture, bucket string) *vault {
	t.Helper()
	servers := f.use(t)
	v, err := OpenErasingVault(t.Context(), connect(t, servers[0]), bucket, len(servers))
	if err != nil {
		t.Fatal(err)
	}
	return v.(*vault)
}

// pieces is how many bytes of a file are looked for in one: a part of a part is enough to
// betray it.
const pieces = 24

// blocksWith returns how many of 64 or so pieces of content are in the blocks of an object store, but for
// those that other content has as well.
func blocksWith(t *testing.T, dir, bucket string, content []byte, but ...[]byte) (found int) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil || e.IsDir() || !strings.Contains(path, "OBJ_"+bucket) {
			return err
		}
		data, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		for i := 0; i+pieces <= len(content); i += max(pieces, len(content)/64) {
			piece := content[i : i+pieces]
			known := false
			for _, other := range but {
				known = known || bytes.Contains(other, piece)
			}
			if !known && bytes.Contains(data, piece) {
				found++
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// What is removed, replaced or given up is in no block any more, also in those of each
// of three servers; what a process left that ended is erased later.
func TestVaultErases(t *testing.T) {
	t.Parallel()
	for _, f := range []*fixture{&single, &cluster} {
		bucket := "erase_" + namespace(t)
		v := mustErase(t, f, bucket)
		random := func() []byte {
			b := make([]byte, 300<<10) // three parts
			_, _ = rand.Read(b)
			return b
		}
		write := func(name string, content []byte) {
			t.Helper()
			if err := segment.WriteFile(t.Context(), v, name, content); err != nil {
				t.Fatal(err)
			}
			eventually(t, name+" is in a block", func() bool { return blocksWith(t, f.dir, bucket, content) > 0 })
		}
		gone := func(what string, content []byte) {
			t.Helper()
			eventually(t, what+" is in no block", func() bool { return blocksWith(t, f.dir, bucket, content) == 0 })
		}
		kept, removed, replaced, given := random(), random(), random(), random()
		write("a/kept", kept)
		write("a/removed", removed)
		write("a/replaced", replaced)
		for range 2 {
			if err := v.Remove(t.Context(), "a/removed"); err != nil {
				t.Fatal(err)
			}
		}
		write("a/replaced", random())
		draft, err := v.Create(t.Context(), "a/given")
		if err == nil {
			_, err = draft.Write(given)
		}
		if err == nil {
			err = draft.Abort()
		}
		if err != nil {
			t.Fatal(err)
		}
		gone("what was removed", removed)
		gone("what was replaced", replaced)
		gone("what was given up", given)

		left, err := v.Create(t.Context(), "a/left")
		if err == nil {
			_, err = left.Write(given)
		}
		if err != nil {
			t.Fatal(err)
		}
		eventually(t, "a draft is in a block", func() bool { return blocksWith(t, f.dir, bucket, given) > 0 })
		if err := mustErase(t, f, bucket).sweep(t.Context(), time.Hour); err != nil || blocksWith(t, f.dir, bucket, given) == 0 {
			t.Errorf("a draft that is being written is erased: %v", err)
		}
		if err := v.sweep(t.Context(), 0); err != nil {
			t.Fatal(err)
		}
		gone("what was left", given)
		got, err := segment.ReadFile(t.Context(), v, "a/kept", 1<<20)
		if err != nil || !bytes.Equal(got, kept) {
			t.Errorf("what is kept: %d bytes, %v", len(got), err)
		}
	}
}

// A copy of the keys in an object store has no trace of the one before in it.
func TestKeysCopyInObjectStoreIsErased(t *testing.T) {
	t.Parallel()
	k := openKeys(t, &single, KeysConfig{})
	bucket := "keys_" + k.cfg.Namespace
	v := mustErase(t, &single, bucket)
	ann := keyRecord("ann")
	ann.Wrapped = make([]byte, 600)
	_, _ = rand.Read(ann.Wrapped)
	ann = mustStoreKey(t, k, ann)
	records := func() []byte {
		t.Helper()
		m, err := backup.CopyKeys(t.Context(), v, k.cfg.Namespace, k, "")
		if err != nil {
			t.Fatal(err)
		}
		content, err := segment.ReadFile(t.Context(), v, k.cfg.Namespace+"/keys/"+m.File.Name, 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		return content
	}
	before := records()
	eventually(t, "the copy is in a block", func() bool { return blocksWith(t, single.dir, bucket, before) > 0 })
	mustStoreKey(t, k, forgotten(ann))
	after := records()
	eventually(t, "the copy before is in no block", func() bool { return blocksWith(t, single.dir, bucket, before, after) == 0 })
	kept, err := backup.OpenKeys(t.Context(), v, k.cfg.Namespace)
	if err != nil {
		t.Fatal(err)
	}
	var all []privacy.Record
	for r, err := range kept.Records(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, r)
	}
	if len(all) != 1 || all[0].Key != (store.KeyID{}) {
		t.Errorf("copied: %+v", all)
	}
}
