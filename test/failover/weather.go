//go:build linux

package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// weather is what the machine itself is like meanwhile: how late a timer wakes
// up, and how long the disk takes to sync a page. Times that a fault took on a
// machine that others keep busy say little about the system.
type weather struct {
	file *os.File

	mu         sync.Mutex
	late, sync time.Duration // the worst since they were asked for
}

func newWeather(dir string) (*weather, error) {
	file, err := os.OpenFile(filepath.Join(dir, "weather"), os.O_CREATE|os.O_WRONLY, 0o600)
	return &weather{file: file}, err
}

// weatherEvery is how often it looks: seldom enough to weigh nothing.
const weatherEvery = 100 * time.Millisecond

// watch looks until ctx ends.
func (w *weather) watch(ctx context.Context) error {
	page := make([]byte, 4<<10)
	for ctx.Err() == nil {
		began := time.Now()
		timer := time.NewTimer(weatherEvery)
		select {
		case <-ctx.Done():
			timer.Stop()
		case <-timer.C:
			w.note(&w.late, time.Since(began)-weatherEvery)
		}
		began = time.Now()
		if _, err := w.file.WriteAt(page, 0); err != nil {
			return errors.Join(err, w.file.Close())
		}
		if err := w.file.Sync(); err != nil {
			return errors.Join(err, w.file.Close())
		}
		w.note(&w.sync, time.Since(began))
	}
	return w.file.Close()
}

func (w *weather) note(worst *time.Duration, d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	*worst = max(*worst, d)
}

// worst returns the worst since the last call.
func (w *weather) worst() (late, sync time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	late, sync = w.late, w.sync
	w.late, w.sync = 0, 0
	return late, sync
}
