package store_test

import (
	"encoding/hex"
	"errors"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/annals-go/annals/store"
)

// epoch is one as leases give them: a revision that began at Unix milliseconds.
const epoch = 1_767_225_600_123

// fullCommits are a commit written without a lease, one written under one, and
// those that hold of their commands what a namespace may keep.
func fullCommits(t testing.TB, codec store.Codec) []*store.Commit {
	leased := fullCommit(t, codec)
	leased.Epoch = epoch
	return []*store.Commit{fullCommit(t, codec), leased, keptCommit(t, codec, 0), keptCommit(t, codec, epoch)}
}

func fullSnapshots() []*store.Snapshot {
	leased := fullSnapshot()
	leased.Epoch = epoch
	return []*store.Snapshot{fullSnapshot(), leased}
}

func mustEncodeSnapshot(t testing.TB, s *store.Snapshot) []byte {
	t.Helper()
	stored, err := store.EncodeSnapshot(s)
	if err != nil {
		t.Fatal(err)
	}
	return stored
}

func TestEpochComesBack(t *testing.T) {
	eachCodec(t, func(t *testing.T, codec store.Codec) {
		hashes := map[store.Hash]uint64{}
		for _, want := range []uint64{0, 1, 127, 128, 255, 256, 1 << 16, 1 << 32, epoch, 1<<53 + 1, math.MaxUint64} {
			c := fullCommit(t, codec)
			c.Epoch = want
			got, err := store.DecodeCommit(codec, mustEncode(t, codec, c), sequence)
			if err != nil || got.Epoch != want {
				t.Fatalf("epoch %d of a commit came back as %+v, %v", want, got, err)
			}
			if other, ok := hashes[got.Hash]; ok {
				t.Errorf("commits of the epochs %d and %d have one hash", want, other)
			}
			hashes[got.Hash] = want
			for r := range got.Recorded() {
				if kept := store.WithData(r, "data"); r.Epoch != want || kept.Epoch != want {
					t.Errorf("epoch %d of an event came back as %d, with data as %d", want, r.Epoch, kept.Epoch)
				}
			}
			s := fullSnapshot()
			s.Epoch = want
			loaded, err := store.DecodeSnapshot(mustEncodeSnapshot(t, s))
			if err != nil || loaded.Epoch != want {
				t.Errorf("epoch %d of a snapshot came back as %+v, %v", want, loaded, err)
			}
		}
	})
}

func TestLeasedGolden(t *testing.T) {
	eachCodec(t, func(t *testing.T, codec store.Codec) {
		golden(t, "commit-leased."+codec.Name(), mustEncode(t, codec, fullCommits(t, codec)[1]), codec != store.JSON)
	})
	golden(t, "snapshot-leased.msgpack", mustEncodeSnapshot(t, fullSnapshots()[1]), true)
}

// What was written before there were leases is read as written without one.
func TestOldBytesAreEpochZero(t *testing.T) {
	t.Parallel()
	for _, codec := range codecs {
		c, err := store.DecodeCommit(codec, stored(t, "commit."+codec.Name(), codec != store.JSON), sequence)
		if err != nil || c.Epoch != 0 || c.Head().Version != 303 {
			t.Errorf("%s: %+v, %v", codec.Name(), c, err)
		}
	}
	s, err := store.DecodeSnapshot(stored(t, "snapshot.msgpack", true))
	if err != nil || s.Epoch != 0 || s.Head.Version != 300 {
		t.Errorf("snapshot: %+v, %v", s, err)
	}
}

// stored returns the bytes that a golden file holds.
func stored(t *testing.T, name string, isHex bool) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	if !isHex {
		return []byte(strings.TrimSuffix(string(data), "\n"))
	}
	raw, err := hex.DecodeString(strings.ReplaceAll(string(data), "\n", ""))
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// There is one way to say that there was no lease, and a layout is what its
// number says.
func TestEpochHasOneLayout(t *testing.T) {
	t.Parallel()
	plain := store.Unsealed(store.MsgPack, mustEncode(t, store.MsgPack, fullCommit(t, store.MsgPack)))
	leased := fullCommit(t, store.MsgPack)
	leased.Epoch = 1
	packed := string(store.Unsealed(store.MsgPack, mustEncode(t, store.MsgPack, leased)))
	if packed[:2] != "\x9d\x02" {
		t.Fatalf("a leased commit begins with %x", packed[:2])
	}
	// The epoch stands between the microseconds and the commands.
	at := strings.Index(packed, "\x01\x92\x97\xa3c-1")
	if at < 0 {
		t.Fatal("the epoch is not where it should be")
	}
	for name, bad := range map[string]string{
		"no epoch in the layout with one":                  "\x9c\x02" + string(plain[2:]),
		"an epoch in the layout without":                   "\x9d\x01" + packed[2:],
		"layout with, of the length of the layout without": "\x9d\x02" + string(plain[2:]),
		"layout without, and a field more":                 "\x9c\x01" + packed[2:],
		"a field more than there is":                       "\x9d\x01" + string(plain[2:]),
		"a field less than there is":                       "\x9c\x02" + packed[2:],
		"epoch zero":                                       packed[:at] + "\x00" + packed[at+1:],
		"kept commands in the layout without":              "\x9d\x03" + packed[2:],
		"a layout that is not known":                       "\x9d\x04" + packed[2:],
	} {
		if c, err := store.DecodeCommit(store.MsgPack, store.Sealed(store.MsgPack, []byte(bad)), sequence); !errors.Is(err, store.ErrDamaged) {
			t.Errorf("%s: %+v, %v, want damage", name, c, err)
		}
	}
	readable := string(store.Unsealed(store.JSON, mustEncode(t, store.JSON, fullCommits(t, store.JSON)[1])))
	for name, change := range map[string][2]string{
		"readable, an epoch in the layout without": {`"format":2`, `"format":1`},
		"readable, no epoch in the layout with":    {`"epoch":1767225600123,`, ``},
		"readable, epoch zero":                     {`"epoch":1767225600123,`, `"epoch":0,`},
		"readable, negative":                       {`"epoch":1767225600123,`, `"epoch":-1,`},
		"readable, a layout that is not known":     {`"format":2`, `"format":4`},
	} {
		bad := strings.Replace(readable, change[0], change[1], 1)
		if bad == readable {
			t.Fatalf("%s: %q is not there", name, change[0])
		}
		if c, err := store.DecodeCommit(store.JSON, store.Sealed(store.JSON, []byte(bad)), sequence); !errors.Is(err, store.ErrDamaged) {
			t.Errorf("%s: %+v, %v, want damage", name, c, err)
		}
	}
}
