package sqlstore

import (
	"context"
	"log/slog"
	"time"
)

// revisionInterval is how often a node looks whether clients, APIs, users or keys
// changed: often enough that no request has to look itself, see viewAge.
const revisionInterval = 500 * time.Millisecond

// watchTimeout bounds what a change sets off in other caches.
const watchTimeout = 5 * time.Second

// Watch reads the revision twice a second until ctx ends. A change drops what this
// process keeps in memory and calls changed, for caches elsewhere; so does the first
// look, because nobody knows what happened before it. A call that fails is made again
// at the next look: a change is not seen until everybody has followed it.
func (s *Store) Watch(ctx context.Context, changed func(context.Context) error) {
	ticker := time.NewTicker(revisionInterval)
	defer ticker.Stop()
	var last int64
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		if err := s.follow(ctx, &last, changed); err != nil && ctx.Err() == nil {
			s.log.LogAttrs(ctx, slog.LevelWarn, "a change cannot be followed", slog.Any("error", err))
		}
	}
}

func (s *Store) follow(ctx context.Context, last *int64, changed func(context.Context) error) error {
	revision, err := s.refresh(ctx)
	if err != nil || revision == *last {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, watchTimeout)
	defer cancel()
	if err := changed(ctx); err != nil {
		return err
	}
	*last = revision
	return nil
}

// Refresh reads the revision once and drops what changed.
func (s *Store) Refresh(ctx context.Context) error {
	_, err := s.refresh(ctx)
	return err
}

// refresh gives up after viewAge: what is found out later than that is of no use.
func (s *Store) refresh(ctx context.Context) (int64, error) {
	ctx, cancel := context.WithTimeout(ctx, viewAge)
	defer cancel()
	asked := s.now()
	revision, err := s.revision(ctx)
	if err == nil {
		s.registry.confirm(revision, asked)
	}
	return revision, err
}

func (s *Store) revision(ctx context.Context) (int64, error) {
	var value int64
	err := s.reader.WithContext(ctx).Raw("SELECT value FROM revision WHERE id = 1").Take(&value).Error
	return value, failed("read the revision", err)
}
