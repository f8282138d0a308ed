package fleet

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/annals-go/annals/cmd/loans/application"
)

// LoadConfig says how the applications are worked on. Clients is needed.
type LoadConfig struct {
	// Clients are shared by the writers and readers.
	Clients []Client
	// Name begins the ids of applications and commands. Default "load".
	Name string
	// Applications is how many there are. Default 2000.
	Applications int
	// Shared is how many of them have two writers. Default a tenth.
	Shared int
	// Rate is how many commands a second all writers together send while all is
	// well. Default 400.
	Rate float64
	// Deadline is how long a sender waits for one command. Default 20 s.
	Deadline time.Duration
	// Readers ask for states. Default 4.
	Readers int
	// ReadEvery is how long a reader pauses between two questions. Default 100 ms.
	ReadEvery time.Duration
	// Seed decides who sends what; when follows from the answers.
	Seed uint64
}

func (c LoadConfig) withDefaults() LoadConfig {
	setDefault(&c.Name, "load")
	setDefault(&c.Applications, 2000)
	setDefault(&c.Shared, c.Applications/10)
	setDefault(&c.Rate, 400)
	setDefault(&c.Deadline, 20*time.Second)
	setDefault(&c.Readers, 4)
	setDefault(&c.ReadEvery, 100*time.Millisecond)
	return c
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// Load is writers and readers at work. Each writer has one application and
// sends it one command at a time, so that an application whose owner is gone
// keeps nobody from working on the others.
type Load struct {
	config  LoadConfig
	history *History
	writers []*writer
}

// NewLoad makes the writers; they begin with Run.
func NewLoad(config LoadConfig, history *History) *Load {
	l := &Load{config: config.withDefaults(), history: history}
	for i := range l.config.Applications + l.config.Shared {
		l.writers = append(l.writers, &writer{
			load: l, number: i, stream: fmt.Sprintf("%s-%d", l.config.Name, i%l.config.Applications),
			client: l.config.Clients[i%len(l.config.Clients)],
			random: rand.New(rand.NewPCG(l.config.Seed, uint64(i))), hurry: make(chan time.Time, 1),
		})
	}
	return l
}

// Run works until ctx ends, and returns when the last command was answered.
func (l *Load) Run(ctx context.Context) {
	var all sync.WaitGroup
	for _, w := range l.writers {
		all.Go(func() { w.run(ctx) })
	}
	for i := range l.config.Readers {
		all.Go(func() { l.read(ctx, i) })
	}
	all.Wait()
}

// Hurry has the writers of the applications send at once, within the spread,
// and again until something is acknowledged. Those who wait for an answer
// go on waiting.
func (l *Load) Hurry(applications map[string]bool, spread time.Duration) {
	for _, w := range l.writers {
		if !applications[w.stream] {
			continue
		}
		select {
		case w.hurry <- time.Now().Add(rand.N(spread)):
		default: // it was told and has not begun
		}
	}
}

// writer sends the commands of one application.
type writer struct {
	load   *Load
	number int
	stream string
	client Client
	random *rand.Rand
	sent   int
	hurry  chan time.Time
}

func (w *writer) run(ctx context.Context) {
	mean := float64(len(w.load.writers)) / w.load.config.Rate * float64(time.Second)
	think := func() time.Duration { return time.Duration(min(w.random.ExpFloat64(), 3) * mean) }
	submitted := false
	for next := time.Duration(w.random.Float64() * mean); ; next = think() {
		timer := time.NewTimer(next)
		hurried := false
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
		case at := <-w.hurry:
			timer.Stop()
			hurried = true
			if Pause(ctx, time.Until(at)) != nil {
				return
			}
		}
		if !submitted {
			submitted = w.send(ctx, application.Submit{Amount: 1000}) != Unavailable
			continue
		}
		for again := true; again && ctx.Err() == nil; {
			c := choose(w.random, w.name())
			if hurried {
				c = sure(w.random, w.name())
			}
			got := w.send(ctx, c)
			again = hurried && got != OK && got != Unexpected
		}
	}
}

func (w *writer) name() string { return fmt.Sprintf("writer %d", w.number) }

// send sends one command to its end, also when ctx ends meanwhile.
func (w *writer) send(ctx context.Context, c application.Command) Outcome {
	w.sent++
	o := &Op{
		Stream: w.stream, Command: c, Writer: w.number,
		ID: fmt.Sprintf("%s/%d/%d", w.load.config.Name, w.number, w.sent),
	}
	w.load.history.Do(context.WithoutCancel(ctx), w.client, o, w.load.config.Deadline)
	return o.Outcome
}

// Applications returns the ids of all applications.
func (l *Load) Applications() []string {
	ids := make([]string, l.config.Applications)
	for i := range ids {
		ids[i] = l.writers[i].stream
	}
	return ids
}
