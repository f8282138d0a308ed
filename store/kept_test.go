package store_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/annals-go/annals/store"
)

// keptCommit holds the data of its first command, and says what the second corrects.
func keptCommit(t testing.TB, codec store.Codec, epoch uint64) *store.Commit {
	t.Helper()
	c := fullCommit(t, codec)
	c.Epoch = epoch
	data, err := codec.Marshal(map[string]string{"amount": "<&>\u2028"})
	if err != nil {
		t.Fatal(err)
	}
	c.Commands[0].Data, c.Commands[0].Schema = data, 3
	c.Commands[1].Corrects = "application/173688/é/299"
	return c
}

func TestKeptGolden(t *testing.T) {
	eachCodec(t, func(t *testing.T, codec store.Codec) {
		isHex := codec != store.JSON
		golden(t, "commit-kept."+codec.Name(), mustEncode(t, codec, keptCommit(t, codec, 0)), isHex)
		golden(t, "commit-kept-leased."+codec.Name(), mustEncode(t, codec, keptCommit(t, codec, epoch)), isHex)
	})
}

// What was written before commands were kept is read as kept without, and laid
// out today as it was then.
func TestOldBytesKeepNothing(t *testing.T) {
	t.Parallel()
	for _, codec := range codecs {
		for _, name := range []string{"commit.", "commit-leased."} {
			old := stored(t, name+codec.Name(), codec != store.JSON)
			c, err := store.DecodeCommit(codec, old, sequence)
			if err != nil || c.Commands[0].Data != nil || c.Commands[0].Schema != 0 || c.Commands[0].Corrects != "" {
				t.Fatalf("%s%s: %+v, %v", name, codec.Name(), c, err)
			}
			if diff := cmp.Diff(old, mustEncode(t, codec, c)); diff != "" {
				t.Errorf("%s%s: encoded again (-then +now):\n%s", name, codec.Name(), diff)
			}
		}
	}
}

// One part of what may be kept is enough for the layout, and none of it is not.
func TestKeptHasOneLayout(t *testing.T) {
	eachCodec(t, func(t *testing.T, codec store.Codec) {
		format := func(c *store.Commit) string {
			body := string(store.Unsealed(codec, mustEncode(t, codec, c)))
			if codec != store.JSON {
				return string('0' + body[1])
			}
			_, rest, _ := strings.Cut(body, `"format":`)
			return rest[:1]
		}
		linked := fullCommit(t, codec)
		linked.Commands[1].Corrects = "c13f6d8c-2544-53f7-9ec5-5564c10754a7"
		empty := fullCommit(t, codec)
		empty.Commands[0].Data = []byte{}
		for name, test := range map[string]struct {
			c    *store.Commit
			want string
		}{
			"nothing kept": {fullCommit(t, codec), "1"}, "empty data": {empty, "1"}, "under a lease": {fullCommits(t, codec)[1], "2"},
			"kept": {keptCommit(t, codec, 0), "3"}, "kept under a lease": {keptCommit(t, codec, epoch), "3"}, "a link alone": {linked, "3"},
		} {
			if got := format(test.c); got != test.want {
				t.Errorf("%s: format %s, want %s", name, got, test.want)
			}
		}
	})
}

func TestKeptLayoutIsStrict(t *testing.T) {
	t.Parallel()
	kept := string(store.Unsealed(store.MsgPack, mustEncode(t, store.MsgPack, keptCommit(t, store.MsgPack, 0))))
	nothing := fullCommit(t, store.MsgPack)
	nothing.Commands = nothing.Commands[1:]
	nothing.Commands[0].Corrects = "a/b/1"
	nothing.Events = nothing.Events[2:]
	nothing.Events[0].Command = 0
	linked := string(store.Unsealed(store.MsgPack, mustEncode(t, store.MsgPack, nothing)))
	for name, bad := range map[string]string{
		"a layout that is not known":           kept[:1] + "\x04" + kept[2:],
		"the layout of leases":                 "\x9d\x02" + kept[2:],
		"kept data for one command too few":    strings.Replace(kept, "\x92\xc4\x0f", "\x91\xc4\x0f", 1),
		"the layout of kept, and nothing kept": strings.Replace(linked, "\xa5a/b/1", "\xa0", 1),
		"no schema version for the data":       strings.Replace(kept, "-01\x03\xa0", "-01\x00\xa0", 1),
	} {
		if bad == kept || bad == linked {
			t.Fatalf("%s: nothing was changed", name)
		}
		if c, err := store.DecodeCommit(store.MsgPack, store.Sealed(store.MsgPack, []byte(bad)), sequence); !errors.Is(err, store.ErrDamaged) {
			t.Errorf("%s: %+v, %v, want damage", name, c, err)
		}
	}
	readable := string(store.Unsealed(store.JSON, mustEncode(t, store.JSON, keptCommit(t, store.JSON, 0))))
	for name, change := range map[string][2]string{
		"readable, another layout":        {`"format":3`, `"format":1`},
		"readable, that of leases":        {`"format":3`, `"format":2`},
		"readable, no schema version":     {`"schema":3,`, ``},
		"readable, a schema out of range": {`"schema":3,`, `"schema":40000,`},
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

func TestParseCorrected(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"application/173688/12":                         "application/173688/12",
		"application/a/b/007":                           "application/a/b/7",
		"C13F6D8C-2544-53F7-9EC5-5564C10754A7":          "c13f6d8c-2544-53f7-9ec5-5564c10754a7",
		"urn:uuid:c13f6d8c-2544-53f7-9ec5-5564c10754a7": "c13f6d8c-2544-53f7-9ec5-5564c10754a7",
	} {
		got, err := store.ParseCorrected(text)
		if err != nil || got.String() != want {
			t.Errorf("%q: %v, %v, want %s", text, got, err, want)
		}
	}
	if got, _ := store.ParseCorrected("application/a/b/7"); got.Stream.ID != "a/b" || got.Version != 7 {
		t.Errorf("a stream's id with a slash came back as %+v", got)
	}
	for _, bad := range []string{
		"", "x", "application/1", "application/1/", "application/1/0", "application/1/-1", "application/1/x", "Application/1/1",
		"application//1", "/1/1", "application/1/18446744073709551616", "00000000-0000-0000-0000-000000000000",
	} {
		if got, err := store.ParseCorrected(bad); !errors.Is(err, store.ErrInvalid) {
			t.Errorf("%q: %+v, %v, want it invalid", bad, got, err)
		}
	}
}
