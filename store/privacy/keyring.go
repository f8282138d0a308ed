package privacy

import (
	"container/list"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/annals-go/annals/store"
)

// KeyringConfig says what a [Keyring] is like.
type KeyringConfig struct {
	// Keys is where keys are kept. It is required.
	Keys Keys
	// Wrapper wraps them there. It is required.
	Wrapper Wrapper
	// Capacity is how many subjects' keys are held, of 1 KiB each or so. Default: 10,000.
	Capacity int
	// MaxAge is how long a key is used without a word from the key store that it still
	// holds: the longest that a node which hears nothing reads what was forgotten.
	// Default: 60 s.
	MaxAge time.Duration
	// Loads is how many keys are loaded side by side. Default: 32.
	Loads int
	// Subjects is how many data subjects one append, or one call of Seal, may have
	// personal data of: each may cost a key, which is kept for ever. Default: 100, the
	// people of a household, a team or a class, and far from what fits into a commit.
	Subjects int
	// Logger gets what goes wrong while the key store is followed. Default:
	// [slog.Default].
	Logger *slog.Logger
}

const (
	defaultCapacity = 10_000
	defaultMaxAge   = 60 * time.Second
	defaultLoads    = 32
	defaultSubjects = 100
)

func (c KeyringConfig) withDefaults() KeyringConfig {
	if c.Capacity <= 0 {
		c.Capacity = defaultCapacity
	}
	if c.MaxAge <= 0 {
		c.MaxAge = defaultMaxAge
	}
	if c.Loads <= 0 {
		c.Loads = defaultLoads
	}
	if c.Subjects <= 0 {
		c.Subjects = defaultSubjects
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	return c
}

// Keyring seals and opens personal data, and holds the keys that it needs for that
// while they are of use. All methods may be called from many goroutines. It works
// without Run as well: keys are then asked for again after MaxAge.
type Keyring struct {
	config KeyringConfig
	slots  chan struct{} // as many as there may be loads

	generation atomic.Uint64
	scratches  sync.Pool // of *scratch
	wrapping   wrapping
	below      atomic.Pointer[below]
	mending    mending
	lacking    lacking

	mu       sync.Mutex
	held     map[string]*list.Element // of *holding, by subject
	recent   *list.List               // the last used first
	loading  map[string]*loading
	erasures erasures
	uses     map[store.KeyID]use
	watch    watch
}

// holding is what is held of one subject.
type holding struct {
	subject  string
	revision uint64
	secret   *secret       // nil if the subject has no key
	erased   []store.KeyID // that it had before
	since    time.Time     // when the last of these was given up
	asked    time.Time     // when the key store was asked for it
	round    uint64        // which load that was
}

// NewKeyring returns a keyring. It asks nobody for anything yet.
func NewKeyring(config KeyringConfig) (*Keyring, error) {
	if config.Keys == nil || config.Wrapper == nil {
		return nil, errors.New("new keyring: it needs a key store and a wrapper")
	}
	config = config.withDefaults()
	return &Keyring{
		config:   config,
		slots:    make(chan struct{}, config.Loads),
		held:     map[string]*list.Element{},
		recent:   list.New(),
		loading:  map[string]*loading{},
		erasures: newErasures(),
		uses:     map[store.KeyID]use{},
		wrapping: wrapping{turn: make(chan struct{}, 1)},
		lacking:  lacking{look: make(chan struct{}, 1)},
	}, nil
}

// Generation grows with each erasure that this keyring has learnt of, and whenever it
// may have missed one. Whoever holds personal data in memory compares it, and asks
// [Keyring.AnyErased] if it has grown.
func (k *Keyring) Generation() uint64 { return k.generation.Load() }

// AnyErased reports whether one of the keys is erased, as far as is known here, without
// asking anybody. After a gap in what was heard it says so of every key that it cannot
// vouch for.
func (k *Keyring) AnyErased(keys []store.KeyRef) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, ref := range keys {
		if k.erasures.has(ref.ID) {
			return true
		}
		if h := k.peek(ref.Subject); h != nil && k.fresh(h) {
			if !h.holds(ref.ID) {
				return true
			}
			continue
		}
		if k.erasures.gaps > 0 {
			return true
		}
	}
	return false
}

func (h *holding) holds(id store.KeyID) bool { return h.secret != nil && h.secret.ref.ID == id }

// peek returns what is held of a subject. It is called with the lock.
func (k *Keyring) peek(subject string) *holding {
	if e, ok := k.held[subject]; ok {
		return e.Value.(*holding)
	}
	return nil
}

// hold keeps what was loaded, in the place of what was held, and drops whoever was not
// used for longest. It is called with the lock.
func (k *Keyring) hold(h *holding) {
	if now := k.peek(h.subject); now != nil && now.secret != h.secret {
		now.secret.drop()
	}
	if e, ok := k.held[h.subject]; ok {
		e.Value = h
		k.recent.MoveToFront(e)
		return
	}
	k.held[h.subject] = k.recent.PushFront(h)
	for k.recent.Len() > k.config.Capacity {
		k.dropElement(k.recent.Back())
	}
}

// drop forgets what is held of a subject. It is called with the lock.
func (k *Keyring) drop(subject string) {
	if e, ok := k.held[subject]; ok {
		k.dropElement(e)
	}
}

func (k *Keyring) dropElement(e *list.Element) {
	h := k.recent.Remove(e).(*holding)
	delete(k.held, h.subject)
	h.secret.drop()
}

// Held returns how many subjects' keys are held, for metrics.
func (k *Keyring) Held() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.recent.Len()
}

// String says nothing that a log must not have.
func (k *Keyring) String() string { return fmt.Sprintf("keyring of %d subjects", k.Held()) }
