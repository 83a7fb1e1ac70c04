package sqlstore

import (
	"context"
	"errors"
	"fmt"
	"time"

	"gorm.io/gorm"

	"github.com/sallyport/sallyport/pkg/audit"
	"github.com/sallyport/sallyport/pkg/fault"
	"github.com/sallyport/sallyport/pkg/mfa"
	"github.com/sallyport/sallyport/pkg/mfa/oob"
	"github.com/sallyport/sallyport/pkg/secret"
)

// endpointPurpose is what the names are sealed for that push services have for devices.
const endpointPurpose = "device-endpoint"

type deviceRow struct {
	ID              string
	AuthenticatorID string
	Identifier      string
	Service         string
	SealedToken     string
	PublicKey       string
	TokenHash       string
	Enrolled        stamp `gorm:"column:enrolled_at"`
	EndpointGone    stamp `gorm:"column:endpoint_gone_at"`
}

// TableName implements gorm's schema.Tabler.
func (deviceRow) TableName() string { return "devices" }

// ownedDevice is a device with what its authenticator knows.
type ownedDevice struct {
	Device  deviceRow `gorm:"embedded"`
	UserID  string
	GroupID string
	Name    string
}

var _ oob.DeviceStore = (*Store)(nil)

// pushChannel is the oob_channel of authenticators that are devices.
const pushChannel = "auth0"

// EnrollDevice implements oob.DeviceStore. What ends the credential that an authenticator
// was associated with takes the lock on the user's row as well.
func (s *Store) EnrollDevice(ctx context.Context, d oob.Device, now time.Time, e audit.Event) error {
	return s.transact(ctx, "enroll a device", func(tx *gorm.DB) error {
		err := awaited(tx, d, now)
		if err != nil {
			return err
		}
		var there []deviceRow
		if err := tx.Where("authenticator_id = ?", d.Authenticator).Find(&there).Error; err != nil {
			return err
		}
		switch {
		case len(there) == 0:
			err = s.addDevice(tx, d, now)
		case there[0].PublicKey == d.Key:
			err = tx.Exec("UPDATE devices SET token_hash = ? WHERE id = ?", d.TokenHash, there[0].ID).Error
		default:
			return fault.DeviceConflict
		}
		if err != nil {
			return err
		}
		return s.record(tx, e)
	})
}

// awaited wants the authenticator of a device to be pending, its user to be served, and
// what it was associated with to be good: an access token that nobody revoked, or a
// transaction that is not finished.
func awaited(tx *gorm.DB, d oob.Device, now time.Time) error {
	u, err := lockUser(tx, d.Subject, fault.NotFound)
	if err != nil {
		return err
	}
	var n int64
	err = tx.Model(&authenticatorRow{}).Where(`id = ? AND user_id = ? AND channel = ?
		AND confirmed_at = 0 AND deleted_at = 0 AND expires_at > ?
		AND NOT EXISTS (SELECT 1 FROM access_tokens t WHERE t.id = handle AND t.revoked_at <> 0)
		AND NOT EXISTS (SELECT 1 FROM redemptions r WHERE r.kind = ? AND r.hash = handle)`,
		d.Authenticator, d.Subject, pushChannel, at(now), transactionKind).Count(&n).Error
	if err == nil && (n == 0 || u.BlockedAt != 0) {
		return fmt.Errorf("no authenticator waits for the device: %w", fault.NotFound)
	}
	return err
}

func (s *Store) addDevice(tx *gorm.DB, d oob.Device, now time.Time) error {
	sealed, err := s.sealEndpoint(d)
	if err != nil {
		return err
	}
	row := deviceRow{
		ID: d.ID, AuthenticatorID: d.Authenticator, Identifier: d.Identifier, Service: d.Endpoint.Service,
		SealedToken: sealed, PublicKey: d.Key, TokenHash: d.TokenHash, Enrolled: at(now),
	}
	if err := tx.Create(&row).Error; err != nil {
		return err
	}
	return nameAuthenticator(tx, d)
}

func nameAuthenticator(tx *gorm.DB, d oob.Device) error {
	return tx.Exec("UPDATE authenticators SET name = ? WHERE id = ?", d.Name, d.Authenticator).Error
}

func (s *Store) sealEndpoint(d oob.Device) (string, error) {
	if d.Endpoint.Token.Empty() {
		return "", nil
	}
	return s.ring.Seal(endpointPurpose, sealedRow(d.ID, d.Authenticator), d.Endpoint.Token)
}

// Device implements oob.DeviceStore.
func (s *Store) Device(ctx context.Context, id string) (oob.Device, error) {
	d, err := s.ownedDevice(s.reader.WithContext(ctx), id)
	if err != nil {
		return oob.Device{}, err
	}
	return s.device(d)
}

// ownedDevice reads a device whose authenticator is there.
func (s *Store) ownedDevice(db *gorm.DB, id string) (ownedDevice, error) {
	var d ownedDevice
	err := db.Raw(`SELECT d.id, d.authenticator_id, d.identifier, d.service, d.sealed_token, d.public_key, d.token_hash,
			d.enrolled_at, d.endpoint_gone_at, a.user_id, a.group_id, a.name
		FROM devices d JOIN authenticators a ON a.id = d.authenticator_id
		WHERE d.id = ? AND a.deleted_at = 0 AND (a.confirmed_at <> 0 OR a.expires_at > ?)`, id, at(s.now())).Take(&d).Error
	return d, found(fault.NotFound, "find the device", err)
}

func (s *Store) device(d ownedDevice) (oob.Device, error) {
	r := d.Device
	var token secret.Text
	if r.SealedToken != "" {
		var err error
		if token, err = s.ring.Open(endpointPurpose, sealedRow(r.ID, r.AuthenticatorID), r.SealedToken); err != nil {
			return oob.Device{}, failed("read a device", err)
		}
	}
	return oob.Device{
		ID: r.ID, Authenticator: r.AuthenticatorID, Subject: d.UserID, Identifier: r.Identifier, Name: d.Name,
		Endpoint: oob.Endpoint{Service: r.Service, Token: token}, Key: r.PublicKey, TokenHash: r.TokenHash,
		EnrolledAt: r.Enrolled.time(), EndpointGone: r.EndpointGone.time(),
	}, nil
}

// lockDevice finds a device, and makes what is done about its user follow one another.
func (s *Store) lockDevice(tx *gorm.DB, id string) (ownedDevice, error) {
	d, err := s.ownedDevice(tx, id)
	if err != nil {
		return ownedDevice{}, err
	}
	if _, err := lockUser(tx, d.UserID, fault.NotFound); err != nil {
		return ownedDevice{}, err
	}
	return s.ownedDevice(tx, id)
}

// UpdateDevice implements oob.DeviceStore.
func (s *Store) UpdateDevice(ctx context.Context, d oob.Device, e audit.Event) error {
	return s.changeDevice(ctx, d.ID, e, func(tx *gorm.DB, was oob.Device) (bool, error) {
		if sameEndpoint(was.Endpoint, d.Endpoint) && was.Identifier == d.Identifier && was.Name == d.Name {
			return false, nil
		}
		gone := at(was.EndpointGone)
		if !sameEndpoint(was.Endpoint, d.Endpoint) {
			gone = 0
		}
		d.Authenticator = was.Authenticator
		sealed, err := s.sealEndpoint(d)
		if err != nil {
			return false, err
		}
		err = tx.Exec("UPDATE devices SET identifier = ?, service = ?, sealed_token = ?, endpoint_gone_at = ? WHERE id = ?",
			d.Identifier, d.Endpoint.Service, sealed, gone, d.ID).Error
		if err != nil {
			return false, err
		}
		return true, nameAuthenticator(tx, d)
	})
}

// DisableEndpoint implements oob.DeviceStore.
func (s *Store) DisableEndpoint(ctx context.Context, id string, gone oob.Endpoint, now time.Time, e audit.Event) error {
	err := s.changeDevice(ctx, id, e, func(tx *gorm.DB, was oob.Device) (bool, error) {
		if !was.EndpointGone.IsZero() || !sameEndpoint(was.Endpoint, gone) {
			return false, nil
		}
		return true, tx.Exec("UPDATE devices SET endpoint_gone_at = ? WHERE id = ?", at(now), id).Error
	})
	if errors.Is(err, fault.NotFound) {
		return nil // with the device
	}
	return err
}

// changeDevice changes a device as it is, and records the event if something changed.
func (s *Store) changeDevice(
	ctx context.Context, id string, e audit.Event, change func(tx *gorm.DB, was oob.Device) (bool, error),
) error {
	return s.transact(ctx, "change a device", func(tx *gorm.DB) error {
		d, err := s.lockDevice(tx, id)
		if err != nil {
			return err
		}
		was, err := s.device(d)
		if err != nil {
			return err
		}
		if changed, err := change(tx, was); err != nil || !changed {
			return err
		}
		return s.record(tx, e)
	})
}

func sameEndpoint(a, b oob.Endpoint) bool { return a.Service == b.Service && a.Token.Equal(b.Token) }

// RemoveDevice implements oob.DeviceStore.
func (s *Store) RemoveDevice(ctx context.Context, id string, e audit.Event) error {
	return s.transact(ctx, "remove a device", func(tx *gorm.DB) error {
		d, err := s.lockDevice(tx, id)
		if err != nil {
			return err
		}
		before, err := active(tx, d.UserID)
		if err != nil {
			return err
		}
		var gone []string
		err = tx.Model(&authenticatorRow{}).Where("user_id = ? AND deleted_at = 0", d.UserID).
			Where("id = ? OR group_id <> '' AND group_id = ?", d.Device.AuthenticatorID, d.GroupID).
			Pluck("id", &gone).Error
		if err != nil {
			return err
		}
		if e.Authenticators, err = s.bury(tx, d.UserID, e.Grant, gone); err != nil {
			return err
		}
		codes, err := s.buryCodes(tx, d.UserID, e.Grant, before)
		if err != nil {
			return err
		}
		e.Authenticators = append(e.Authenticators, codes...)
		return s.record(tx, e)
	})
}

// buryCodes takes away the active recovery codes of a user who had factors before and has
// none any more: they stand in for nothing.
func (s *Store) buryCodes(tx *gorm.DB, userID, by string, before int64) ([]string, error) {
	left, err := active(tx, userID)
	if err != nil || before == 0 || left > 0 {
		return nil, err
	}
	var codes []string
	err = tx.Model(&authenticatorRow{}).Where("user_id = ? AND confirmed_at <> 0 AND deleted_at = 0 AND type = ?",
		userID, mfa.RecoveryCode).Pluck("id", &codes).Error
	if err != nil || len(codes) == 0 {
		return nil, err
	}
	return s.bury(tx, userID, by, codes)
}
