package jetstream

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	natsjs "github.com/nats-io/nats.go/jetstream"
	"github.com/synadia-io/orbit.go/jetstreamext"
	"github.com/vmihailenco/msgpack/v5"

	"github.com/annals-go/annals/store"
)

// Each benchmark measures the log beside what JetStream itself does, in the same
// run: compare "log" with "raw" (a client written for speed) and with "client"
// (what nats.go does).

// eventData is one event's value of about 256 bytes.
func eventData(b *testing.B) []byte {
	data, err := msgpack.Marshal(map[string]string{"note": string(bytes.Repeat([]byte("n"), 240))})
	if err != nil {
		b.Fatal(err)
	}
	return data
}

func largeCommit(id store.StreamID, after store.Head, data []byte) *store.Commit {
	c := commitOf(id, after, 1)
	c.Events[0].Data = data
	return c
}

// share runs work in so many goroutines, b.N times in all.
func share(b *testing.B, workers int, work func(worker int) error) {
	b.ResetTimer()
	var wg sync.WaitGroup
	var failed atomic.Value
	for w := range workers {
		n := b.N / workers
		if w < b.N%workers {
			n++
		}
		wg.Go(func() {
			for range n {
				if err := work(w); err != nil {
					failed.Store(err)
					return
				}
			}
		})
	}
	wg.Wait()
	b.StopTimer()
	if err := failed.Load(); err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "commits/s")
}

func BenchmarkAppend(b *testing.B) {
	for _, servers := range []struct {
		name string
		*fixture
	}{{"one", &single}, {"three", &cluster}} {
		for _, writers := range []int{1, 64, 256} {
			name := func(how string) string { return fmt.Sprintf("servers=%s/writers=%d/%s", servers.name, writers, how) }
			b.Run(name("client"), func(b *testing.B) { benchClient(b, servers.fixture, writers) })
			b.Run(name("raw"), func(b *testing.B) { benchRaw(b, servers.fixture, writers) })
			b.Run(name("log"), func(b *testing.B) { benchLog(b, servers.fixture, writers) })
		}
	}
}

func benchLog(b *testing.B, servers *fixture, writers int) { benchAppend(b, servers, writers, 1) }

func benchAppend(b *testing.B, servers *fixture, writers, logStreams int) {
	l := open(b, servers, Config{LogStreams: logStreams})
	warmUp(b, l)
	data := eventData(b)
	heads := make([]store.Head, writers)
	share(b, writers, func(w int) (err error) {
		heads[w], err = l.Append(context.Background(), largeCommit(stream(strconv.Itoa(w)), heads[w], data))
		return err
	})
}

// warmUp appends to each log stream, so that its place in the order was told once.
func warmUp(b *testing.B, l *Log) {
	for i := range 4 * len(l.names.streams) {
		appendTo(b, l, stream(fmt.Sprint("warm-", i)), store.Head{}, 1)
	}
}

// BenchmarkLogStreams appends to several log streams and waits for the total
// order, beside one log stream, which is its own.
func BenchmarkLogStreams(b *testing.B) {
	for _, servers := range []struct {
		name string
		*fixture
	}{{"one", &single}, {"three", &cluster}} {
		for _, writers := range []int{1, 64, 256} {
			for _, logStreams := range []int{1, 4, 16} {
				b.Run(fmt.Sprintf("servers=%s/writers=%d/streams=%d", servers.name, writers, logStreams), func(b *testing.B) {
					benchAppend(b, servers.fixture, writers, logStreams)
				})
			}
		}
	}
}

// BenchmarkPlace measures what the total order adds to an append: from the log
// stream's acknowledgement until the place is known.
func BenchmarkPlace(b *testing.B) {
	for _, logStreams := range []int{4, 16} {
		b.Run(fmt.Sprintf("streams=%d", logStreams), func(b *testing.B) {
			l := open(b, &cluster, Config{LogStreams: logStreams})
			warmUp(b, l)
			var head store.Head
			var waited time.Duration
			for b.Loop() {
				c := commitOf(stream("1"), head, 1)
				m, err := l.message(c)
				if err != nil {
					b.Fatal(err)
				}
				a := &appending{log: l, stream: &l.names.streams[l.names.streamOf(c.Stream)], commit: c, message: m, call: l.inbox.open()}
				m.Reply = a.call.reply
				c.Local, err = a.run(b.Context())
				began := time.Now()
				if err == nil {
					_, err = l.placeStored(b.Context(), c, spot{l.names.streamOf(c.Stream), m.Subject, c.Local})
				}
				waited += time.Since(began)
				if err != nil {
					b.Fatal(err)
				}
				l.inbox.close(a.call)
				c.Hash = store.HashOf(m.Data)
				head = c.Head()
			}
			b.ReportMetric(float64(waited.Nanoseconds())/float64(b.N), "ns-waited/op")
		})
	}
}

// BenchmarkActivate reads what followed a snapshot, with one log stream and with
// several: while the places are remembered, and when they are not ("far").
func BenchmarkActivate(b *testing.B) {
	const commits, between = 20, 200
	for _, logStreams := range []int{1, 4} {
		l := open(b, &cluster, Config{LogStreams: logStreams})
		id := stream("activated")
		heads := spread(b, l, id, commits, between)
		far := open(b, &cluster, Config{LogStreams: logStreams, Namespace: l.cfg.Namespace})
		if far.order != nil {
			far.order.warm = 0
		}
		for _, n := range []int{0, 1, commits} {
			b.Run(fmt.Sprintf("streams=%d/commits=%d", logStreams, n), func(b *testing.B) { benchRead(b, l, id, heads[commits-n], n) })
			if logStreams > 1 {
				b.Run(fmt.Sprintf("streams=%d/commits=%d/far", logStreams, n), func(b *testing.B) { benchRead(b, far, id, heads[commits-n], n) })
			}
		}
	}
}

// payload is what an append publishes, for the baselines.
func payload(b *testing.B) []byte {
	data, err := store.EncodeCommit(store.MsgPack, largeCommit(stream("1"), store.Head{}, eventData(b)))
	if err != nil {
		b.Fatal(err)
	}
	return data
}

func benchClient(b *testing.B, servers *fixture, writers int) {
	l := open(b, servers, Config{})
	js, data := mustJetStream(b, l), payload(b)
	last := make([]uint64, writers)
	share(b, writers, func(w int) error {
		subject := l.names.subject(stream(strconv.Itoa(w)), strconv.Itoa(w))
		for {
			ack, err := js.PublishMsg(context.Background(), &nats.Msg{Subject: subject, Data: data},
				natsjs.WithExpectLastSequencePerSubject(last[w]))
			var api *natsjs.APIError
			if errors.As(err, &api) && api.ErrorCode == natsjs.JSErrCodeStreamWrongLastSequenceConstant {
				continue // a cluster refuses a right expectation now and then
			}
			if err == nil {
				last[w] = ack.Sequence
			}
			return err
		}
	})
}

func benchRaw(b *testing.B, servers *fixture, writers int) {
	l := open(b, servers, Config{})
	conn, data := l.cfg.Conn, payload(b)
	inbox := conn.NewInbox() + "."
	acks := make([]chan uint64, writers)
	for i := range acks {
		acks[i] = make(chan uint64, 1)
	}
	sub, err := conn.Subscribe(inbox+"*", func(m *nats.Msg) {
		w, _ := strconv.Atoi(m.Subject[len(inbox):])
		sequence, _ := readAck(m.Data)
		acks[w] <- sequence
	})
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = sub.Unsubscribe() }()
	last := make([]uint64, writers)
	share(b, writers, func(w int) error {
		m := &nats.Msg{
			Subject: l.names.subject(stream(strconv.Itoa(w)), strconv.Itoa(w)), Reply: inbox + strconv.Itoa(w), Data: data,
			Header: nats.Header{expectedLastSubject: {strconv.FormatUint(last[w], 10)}},
		}
		for {
			if err := conn.PublishMsg(m); err != nil {
				return err
			}
			// A cluster refuses a right expectation now and then.
			if sequence := <-acks[w]; sequence > 0 {
				last[w] = sequence
				return nil
			}
		}
	})
}

// BenchmarkRead reads the last commits of a stream, with 1,500 commits of other
// streams between each two ("spread") or none ("dense"). "client" is a batched
// direct get by an extension of nats.go, which decodes nothing.
func BenchmarkRead(b *testing.B) {
	const most = 100
	l := open(b, &single, Config{})
	for _, c := range []struct {
		name    string
		between int
	}{{"dense", 0}, {"spread", 1500}} {
		id := stream(c.name)
		heads := spread(b, l, id, most, c.between)
		for _, commits := range []int{0, 1, 10, most} {
			name := fmt.Sprintf("%s/commits=%d/", c.name, commits)
			after := heads[most-commits]
			b.Run(name+"log", func(b *testing.B) { benchRead(b, l, id, after, commits) })
			if commits > 0 {
				b.Run(name+"client", func(b *testing.B) { benchGetBatch(b, l, id, after, commits) })
			}
		}
	}
}

func benchRead(b *testing.B, l *Log, id store.StreamID, after store.Head, commits int) {
	for b.Loop() {
		if got, err := readAll(l, id, after); err != nil || len(got) != commits {
			b.Fatal(len(got), err)
		}
	}
}

func benchGetBatch(b *testing.B, l *Log, id store.StreamID, after store.Head, commits int) {
	js, subject := mustJetStream(b, l), l.names.subject(id, id.ID)
	for b.Loop() {
		messages, err := jetstreamext.GetBatch(context.Background(), js, l.names.order.name, commits,
			jetstreamext.GetBatchSubject(subject), jetstreamext.GetBatchSeq(after.Sequence+1))
		if err != nil {
			b.Fatal(err)
		}
		n := 0
		for _, err := range messages {
			if err != nil {
				b.Fatal(err)
			}
			n++
		}
		if n != commits {
			b.Fatal(n)
		}
	}
}

// spread appends commits to a stream with those of so many others between.
func spread(b *testing.B, l *Log, id store.StreamID, commits, between int) []store.Head {
	data := eventData(b)
	heads := []store.Head{{}}
	for n := range commits {
		head, err := l.Append(context.Background(), largeCommit(id, heads[len(heads)-1], data))
		if err != nil {
			b.Fatal(err)
		}
		heads = append(heads, head)
		fillOthers(b, l, fmt.Sprintf("%s-%d", id.ID, n), between, data)
	}
	return heads
}

// fillOthers appends one commit to each of many streams, many at a time.
func fillOthers(b *testing.B, l *Log, name string, count int, data []byte) {
	const writers = 64
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for i := w; i < count; i += writers {
				if _, err := l.Append(context.Background(), largeCommit(stream(fmt.Sprintf("%s-%d", name, i)), store.Head{}, data)); err != nil {
					b.Error(err)
				}
			}
		})
	}
	wg.Wait()
}

func BenchmarkFollow(b *testing.B) {
	const commits, limit = 200_000, 5000
	l := open(b, &single, Config{})
	fillOthers(b, l, "follow", commits, eventData(b))
	b.Run("raw", func(b *testing.B) {
		for b.Loop() {
			benchPull(b, l, commits, limit)
		}
		b.ReportMetric(commits*float64(b.N)/b.Elapsed().Seconds(), "commits/s")
	})
	for _, name := range []string{"", "view"} {
		b.Run("log/name="+name, func(b *testing.B) {
			for b.Loop() {
				benchFollow(b, l, name, commits, limit)
			}
			b.ReportMetric(commits*float64(b.N)/b.Elapsed().Seconds(), "commits/s")
		})
	}
}

func benchFollow(b *testing.B, l *Log, name string, commits, limit int) {
	feed, err := l.Follow(context.Background(), store.Follow{Name: name})
	if err != nil {
		b.Fatal(err)
	}
	for n := 0; n < commits; {
		batch, err := feed.Next(context.Background(), limit)
		if err != nil {
			b.Fatal(err)
		}
		n += len(batch)
		feed.Acknowledge(batch[len(batch)-1].Last())
	}
	if err := feed.Close(); err != nil {
		b.Fatal(err)
	}
}

// benchPull reads the stream with a bare pull consumer and decodes nothing.
func benchPull(b *testing.B, l *Log, commits, limit int) {
	ctx := context.Background()
	js := mustJetStream(b, l)
	consumer, err := js.CreateConsumer(ctx, l.names.order.name, natsjs.ConsumerConfig{
		AckPolicy: natsjs.AckNonePolicy, MemoryStorage: true,
	})
	if err != nil {
		b.Fatal(err)
	}
	messages, err := consumer.Messages(natsjs.PullMaxMessages(limit))
	if err != nil {
		b.Fatal(err)
	}
	for range commits {
		if _, err := messages.Next(); err != nil {
			b.Fatal(err)
		}
	}
	messages.Stop()
	if err := js.DeleteConsumer(ctx, l.names.order.name, consumer.CachedInfo().Name); err != nil {
		b.Fatal(err)
	}
}
