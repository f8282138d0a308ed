package store_test

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/annals-go/annals/store"
)

// fullCommit has something in every field.
func fullCommit(t testing.TB, c store.Codec) *store.Commit {
	t.Helper()
	data := func(v any) []byte {
		encoded, err := c.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		return encoded
	}
	return &store.Commit{
		Stream: store.StreamID{Type: "application", ID: "173688/é"},
		ID:     uuid.MustParse("0197b6a4-5f4e-7d2a-9c1b-3e8f2a6d4c10"),
		After:  store.Head{Version: 300, Sequence: 70_000, Hash: store.HashOf([]byte("before"))},
		Time:   time.Date(2012, 3, 1, 9, 30, 15, 123456000, time.UTC),
		Commands: []store.Command{
			{
				ID: "c-1", Name: "submit", BodyHash: 1<<64 - 1, CorrelationID: "corr", CausationID: "cause",
				Principal: "ann <&>", Traceparent: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
			},
			{ID: "c-2", Name: "accept"},
		},
		Events: []store.Event{
			{Type: "submitted", Schema: 1, Command: 0, Data: data(map[string]string{"note": "<&>\u2028"})},
			{Type: "partly-submitted", Schema: 2, Command: 0, Data: data(struct{}{})},
			{Type: "accepted", Schema: 1, Command: 1, Data: data(map[string]string{"big": strings.Repeat("x", 300)})},
		},
	}
}

const sequence = 70_001

func mustEncode(t testing.TB, codec store.Codec, c *store.Commit) []byte {
	t.Helper()
	stored, err := store.EncodeCommit(codec, c)
	if err != nil {
		t.Fatal(err)
	}
	return stored
}

func TestCommitRoundTrip(t *testing.T) {
	eachCodec(t, func(t *testing.T, codec store.Codec) {
		for _, want := range fullCommits(t, codec) {
			stored := mustEncode(t, codec, want)
			got, err := store.DecodeCommit(codec, stored, sequence)
			if err != nil {
				t.Fatal(err)
			}
			want.Sequence, want.Local, want.Hash = sequence, sequence, store.HashOf(stored)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Fatalf("-want +got:\n%s", diff)
			}
			if again := mustEncode(t, codec, got); !bytes.Equal(again, stored) {
				t.Fatalf("the same commit gives\n%q, then\n%q", stored, again)
			}
		}
	})
}

func TestCommitGolden(t *testing.T) {
	eachCodec(t, func(t *testing.T, codec store.Codec) {
		golden(t, "commit."+codec.Name(), mustEncode(t, codec, fullCommit(t, codec)), codec != store.JSON)
	})
}

func TestCommitTimeIsCut(t *testing.T) {
	eachCodec(t, func(t *testing.T, codec store.Codec) {
		c := fullCommit(t, codec)
		for _, at := range []time.Time{
			{},
			time.Unix(0, 0),
			time.Date(9999, 12, 31, 23, 59, 59, 999_999_000, time.UTC),
			time.Date(2012, 3, 1, 9, 30, 15, 123456789, time.FixedZone("abroad", -3600)),
			time.Now(),
		} {
			c.Time = at
			got, err := store.DecodeCommit(codec, mustEncode(t, codec, c), sequence)
			if want := at.UTC().Truncate(time.Microsecond); err != nil || got.Time != want {
				t.Errorf("%v came back as %v, %v, want %v", at, got, err, want)
			}
		}
		for _, at := range []time.Time{time.Time{}.Add(-1), time.Date(10_000, 1, 1, 0, 0, 0, 0, time.UTC)} {
			c.Time = at
			if _, err := store.EncodeCommit(codec, c); !errors.Is(err, store.ErrInvalid) {
				t.Errorf("%v: %v, want it invalid", at, err)
			}
		}
	})
}

func TestEncodeCommitRefuses(t *testing.T) {
	long := strings.Repeat("x", store.MaxMetadataBytes+1)
	tests := []struct {
		name  string
		want  error
		spoil func(c *store.Commit)
	}{
		{"no type", store.ErrInvalid, func(c *store.Commit) { c.Stream.Type = "" }},
		{"type with a dot", store.ErrInvalid, func(c *store.Commit) { c.Stream.Type = "a.b" }},
		{"no stream id", store.ErrInvalid, func(c *store.Commit) { c.Stream.ID = "" }},
		{"stream id too long", store.ErrTooLarge, func(c *store.Commit) { c.Stream.ID = long }},
		{"no id", store.ErrInvalid, func(c *store.Commit) { c.ID = uuid.Nil }},
		{"version without sequence", store.ErrInvalid, func(c *store.Commit) { c.After.Sequence = 0 }},
		{"sequence without version", store.ErrInvalid, func(c *store.Commit) { c.After.Version = 0 }},
		{"hash of nothing", store.ErrInvalid, func(c *store.Commit) { c.After.Version, c.After.Sequence = 0, 0 }},
		{"sequence out of range", store.ErrInvalid, func(c *store.Commit) { c.After.Sequence = 1 << 54 }},
		{"no events", store.ErrInvalid, func(c *store.Commit) { c.Events = nil }},
		{"no commands", store.ErrInvalid, func(c *store.Commit) { c.Commands = nil }},
		{"command without events", store.ErrInvalid, func(c *store.Commit) { c.Commands = append(c.Commands, c.Commands[0]) }},
		{"event of no command", store.ErrInvalid, func(c *store.Commit) { c.Events[2].Command = 2 }},
		{"event of a negative command", store.ErrInvalid, func(c *store.Commit) { c.Events[0].Command = -1 }},
		{"events in disorder", store.ErrInvalid, func(c *store.Commit) { c.Events[0].Command, c.Events[1].Command = 1, 0 }},
		{"back to an earlier command", store.ErrInvalid, func(c *store.Commit) { c.Events[1].Command, c.Events[2].Command = 1, 0 }},
		{"no schema", store.ErrInvalid, func(c *store.Commit) { c.Events[0].Schema = 0 }},
		{"no event type", store.ErrInvalid, func(c *store.Commit) { c.Events[0].Type = "" }},
		{"no command id", store.ErrInvalid, func(c *store.Commit) { c.Commands[0].ID = "" }},
		{"no command name", store.ErrInvalid, func(c *store.Commit) { c.Commands[0].Name = "" }},
		{"command id too long", store.ErrTooLarge, func(c *store.Commit) { c.Commands[0].ID = long[:129] }},
		{"command id not UTF-8", store.ErrInvalid, func(c *store.Commit) { c.Commands[0].ID = "\xff" }},
		{"command id with NUL", store.ErrInvalid, func(c *store.Commit) { c.Commands[0].ID = "a\x00" }},
		{"principal with a line break", store.ErrInvalid, func(c *store.Commit) { c.Commands[0].Principal = "a\nb" }},
		{"correlation id too long", store.ErrTooLarge, func(c *store.Commit) { c.Commands[0].CorrelationID = long }},
		{"correction of nothing", store.ErrInvalid, func(c *store.Commit) { c.Commands[0].Corrects = "application/1/0" }},
		{"correction that is spelt otherwise", store.ErrInvalid, func(c *store.Commit) { c.Commands[0].Corrects = "application/1/07" }},
		{"data without a schema", store.ErrInvalid, func(c *store.Commit) { c.Commands[0].Data = []byte{0x80} }},
		{"a schema without data", store.ErrInvalid, func(c *store.Commit) { c.Commands[1].Schema = 1 }},
		{"a schema out of range", store.ErrInvalid, func(c *store.Commit) { c.Commands[0].Data, c.Commands[0].Schema = []byte{0x80}, 1<<15+1 }},
		{"data too large together", store.ErrTooLarge, func(c *store.Commit) {
			c.Commands[0].Data, c.Commands[0].Schema = make([]byte, store.MaxCommitBytes), 1
		}},
		{"causation id too long", store.ErrTooLarge, func(c *store.Commit) { c.Commands[0].CausationID = long }},
		{"principal too long", store.ErrTooLarge, func(c *store.Commit) { c.Commands[0].Principal = long }},
		{"traceparent too long", store.ErrTooLarge, func(c *store.Commit) { c.Commands[0].Traceparent = long }},
		{"too many events", store.ErrTooLarge, func(c *store.Commit) {
			c.Commands = c.Commands[:1]
			c.Events = slicesRepeat(c.Events[0], store.MaxEvents+1)
		}},
		{"too large", store.ErrTooLarge, func(c *store.Commit) { c.Events[0].Data = make([]byte, store.MaxCommitBytes) }},
	}
	eachCodec(t, func(t *testing.T, codec store.Codec) {
		for _, test := range tests {
			c := fullCommit(t, codec)
			test.spoil(c)
			if stored, err := store.EncodeCommit(codec, c); !errors.Is(err, test.want) || stored != nil {
				t.Errorf("%s: %v, want %v", test.name, err, test.want)
			}
		}
	})
}

func slicesRepeat(e store.Event, n int) []store.Event {
	events := make([]store.Event, n)
	for i := range events {
		events[i] = e
	}
	return events
}

func TestEncodeCommitRefusesDataThatIsNoJSON(t *testing.T) {
	t.Parallel()
	for _, data := range []string{"", "{", "{}{}", `{"a":1,"a":2}`, "\xff", "{},"} {
		c := fullCommit(t, store.JSON)
		c.Events[0].Data = []byte(data)
		if _, err := store.EncodeCommit(store.JSON, c); !errors.Is(err, store.ErrInvalid) {
			t.Errorf("%q: %v, want it invalid", data, err)
		}
	}
}

func TestLargestCommit(t *testing.T) {
	eachCodec(t, func(t *testing.T, codec store.Codec) {
		c := fullCommit(t, codec)
		data := []byte(`"` + strings.Repeat("x", 200) + `"`)
		c.Commands, c.Events = nil, nil
		for i := range store.MaxEvents {
			c.Commands = append(c.Commands, store.Command{ID: fmt.Sprint(i), Name: "submit"})
			c.Events = append(c.Events, store.Event{Type: "submitted", Schema: 1, Command: i, Data: data})
		}
		got, err := store.DecodeCommit(codec, mustEncode(t, codec, c), sequence)
		if err != nil || len(got.Events) != store.MaxEvents || got.Commands[1023].ID != "1023" {
			t.Fatalf("%d events came back as %v", store.MaxEvents, err)
		}
	})
}

// A stored commit with one bit changed is never read as a commit.
func TestDecodeCommitNoticesEveryBit(t *testing.T) {
	eachCodec(t, func(t *testing.T, codec store.Codec) {
		for _, c := range fullCommits(t, codec) {
			noticesEveryBit(t, mustEncode(t, codec, c), func(stored []byte) error {
				_, err := store.DecodeCommit(codec, stored, sequence)
				return err
			})
		}
	})
}

func noticesEveryBit(t *testing.T, stored []byte, decode func([]byte) error) {
	t.Helper()
	for i := range len(stored) * 8 {
		flipped := bytes.Clone(stored)
		flipped[i/8] ^= 1 << (i % 8)
		if err := decode(flipped); !errors.Is(err, store.ErrDamaged) {
			t.Fatalf("bit %d of byte %d: %v, want damage", i%8, i/8, err)
		}
	}
	for n := range stored {
		if err := decode(stored[:n]); !errors.Is(err, store.ErrDamaged) {
			t.Fatalf("%d of %d bytes: %v, want damage", n, len(stored), err)
		}
	}
	if err := decode(append(stored, 0)); !errors.Is(err, store.ErrDamaged) {
		t.Fatalf("a byte more: %v, want damage", err)
	}
}

func TestDecodeCommitRefusesSequences(t *testing.T) {
	eachCodec(t, func(t *testing.T, codec store.Codec) {
		stored := mustEncode(t, codec, fullCommit(t, codec))
		for _, at := range []uint64{0, 1, sequence - 1, 1 << 54} {
			if _, err := store.DecodeCommit(codec, stored, at); !errors.Is(err, store.ErrDamaged) {
				t.Errorf("at sequence %d: %v, want damage", at, err)
			}
		}
	})
}

func TestDecodeNext(t *testing.T) {
	eachCodec(t, func(t *testing.T, codec store.Codec) {
		c := fullCommit(t, codec)
		stored, after := mustEncode(t, codec, c), c.After
		got, err := store.DecodeNext(codec, stored, sequence, c.Stream, after)
		if err != nil || got.Head().Version != 303 {
			t.Fatalf("%+v, %v", got, err)
		}
		shorter, longer, other := after, after, after
		shorter.Version--
		longer.Version++
		other.Hash[0]++
		for name, try := range map[string]func() (*store.Commit, error){
			"a version twice": func() (*store.Commit, error) {
				return store.DecodeNext(codec, stored, sequence, c.Stream, longer)
			},
			"a gap": func() (*store.Commit, error) {
				return store.DecodeNext(codec, stored, sequence, c.Stream, shorter)
			},
			"another hash": func() (*store.Commit, error) {
				return store.DecodeNext(codec, stored, sequence, c.Stream, other)
			},
			"no commit": func() (*store.Commit, error) {
				return store.DecodeNext(codec, []byte("x"), sequence, c.Stream, after)
			},
		} {
			_, err := try()
			var damage *store.DamageError
			if !errors.As(err, &damage) || damage.Stream != c.Stream || damage.Version == 0 || damage.Sequence != sequence {
				t.Errorf("%s: %v, want damage that names the stream, a version and the sequence", name, err)
			}
		}
		elsewhere := store.StreamID{Type: "application", ID: "2"}
		_, err = store.DecodeNext(codec, stored, sequence, elsewhere, after)
		var damage *store.DamageError
		if !errors.As(err, &damage) || damage.Stream != elsewhere || damage.Version != 301 {
			t.Errorf("another stream: %v, want damage of %s at version 301", err, elsewhere)
		}
	})
}

func TestRecorded(t *testing.T) {
	t.Parallel()
	c := fullCommit(t, store.MsgPack)
	c.Sequence = sequence
	var got []store.Recorded[[]byte]
	for e := range c.Recorded() {
		got = append(got, e)
	}
	ids := map[uuid.UUID]bool{}
	for i, e := range got {
		if e.Version != 301+uint64(i) || e.Position != store.PositionOf(sequence, i) || e.Stream != c.Stream || !e.Time.Equal(c.Time) {
			t.Errorf("event %d: %+v", i, e)
		}
		if want := c.Commands[c.Events[i].Command]; !cmp.Equal(e.Command, want) {
			t.Errorf("event %d answers %+v, want %+v", i, e.Command, want)
		}
		ids[e.ID] = true
	}
	if len(got) != 3 || len(ids) != 3 {
		t.Fatalf("%d events with %d ids, want 3", len(got), len(ids))
	}
	// The ids are permanent: they rest on stream, command and index alone.
	if want := "c13f6d8c-2544-53f7-9ec5-5564c10754a7"; got[2].ID.String() != want {
		t.Errorf("the id of the third event is %s, want %s", got[2].ID, want)
	}
	for range c.Recorded() {
		break
	}
}

func FuzzDecodeCommit(f *testing.F) {
	for _, codec := range codecs {
		for _, c := range fullCommits(f, codec) {
			stored := mustEncode(f, codec, c)
			f.Add(store.Unsealed(codec, stored), true)
			f.Add(stored, false)
			f.Add(stored[:len(stored)/2], true)
		}
	}
	f.Add([]byte("\xdd\xff\xff\xff\xff"), true)
	f.Fuzz(func(t *testing.T, data []byte, seal bool) {
		for _, codec := range codecs {
			stored := data
			if seal { // get past the check sum
				stored = store.Sealed(codec, data)
			}
			var c *store.Commit
			var err error
			got := allocated(func() { c, err = store.DecodeCommit(codec, stored, sequence) })
			if limit := 16<<10 + 256*uint64(len(stored)); got > limit {
				t.Fatalf("decoding %d bytes allocates %d", len(stored), got)
			}
			if err != nil {
				if !errors.Is(err, store.ErrDamaged) {
					t.Fatalf("%v is not damage", err)
				}
				continue
			}
			for range c.Recorded() { // every index is in range
			}
			again, err := store.EncodeCommit(codec, c)
			if err != nil {
				continue // texts are judged when they are written
			}
			back, err := store.DecodeCommit(codec, again, sequence)
			if err != nil {
				t.Fatalf("%+v cannot be read again: %v", c, err)
			}
			back.Hash = c.Hash // the same commit may have other bytes
			if diff := cmp.Diff(c, back); codec == store.MsgPack && diff != "" {
				t.Fatalf("-first +again:\n%s", diff)
			}
		}
	})
}

// Ids of events are those of RFC 9562, version 5, whatever their length.
func TestEventIDs(t *testing.T) {
	t.Parallel()
	space := uuid.MustParse("6f1c1c0e-5a3b-4b0e-9d52-0e6a4c1f7a11")
	for _, command := range []string{"c", strings.Repeat("c", 100), strings.Repeat("c", 1000)} {
		c := store.Commit{
			Stream: store.StreamID{Type: "application", ID: "173688"}, Commands: []store.Command{{ID: command}},
			Events: []store.Event{{Type: "submitted"}, {Type: "submitted"}},
		}
		n := 0
		for r := range c.Recorded() {
			if want := uuid.NewSHA1(space, fmt.Appendf(nil, "application\x00173688\x00%s\x00%d", command, n)); r.ID != want {
				t.Errorf("event %d of a command of %d bytes has id %s, want %s", n, len(command), r.ID, want)
			}
			n++
		}
	}
}
