//go:build !linux

package embedded

import "errors"

// syncfsAvailable is false: SyncBarrier means SyncAlways here.
const syncfsAvailable = false

type filesystem struct{}

func openFilesystem(string) (*filesystem, error) { return nil, errors.ErrUnsupported }

func (*filesystem) sync() error  { return errors.ErrUnsupported }
func (*filesystem) close() error { return nil }
