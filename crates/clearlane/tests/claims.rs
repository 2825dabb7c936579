//! Claims: what a trusted issuer signed is read from a frame and believed; anything else is refused, with its own reason.
#![allow(clippy::unwrap_used)]

use std::time::{Duration, Instant};

use clearlane::{
    Claim, ClaimIssuer, ClaimKeyError, ClaimRefusal, ClaimVerifier, IssueError, PortId, ReadBudget, SignedClaim,
    read_claim_text,
};
use clearlane_embed::{Frame, PixelFormat, Rotation};
use clearlane_template::SubjectId;
use data_encoding::BASE32_NOPAD;
use jiff::{SignedDuration, Timestamp};

/// The id of the register whose subject claims.
const REGISTER: [u8; 16] = [1; 16];

#[test]
fn a_claim_goes_from_its_issuer_through_a_picture_to_a_lane() {
    let issuer = ClaimIssuer::generate().unwrap();
    let claim = issue(&issuer);
    let png = image::load_from_memory(&claim.to_png(4).unwrap()).unwrap();
    let rgb = png.to_rgb8();
    let frame = Frame::rgb8(rgb.width(), rgb.height(), rgb.as_raw().as_slice()).unwrap();
    let text = read(&frame).unwrap();
    assert_eq!(text, claim.text());
    let read = issuer.verifier().verify(&text, REGISTER, &port("gongbei"), now()).unwrap();
    assert_eq!(&read, claim.claim());
    assert_eq!(read.subject, SubjectId(7));
}

#[test]
fn claims_are_read_from_camera_frames_that_are_dim_and_turned_and_not_filled_by_them() {
    let issuer = ClaimIssuer::generate().unwrap();
    let is_read = |number: u32| {
        let claim = issue(&issuer);
        let frame = seen_by_camera(&claim, 3.0 + 0.05 * number as f32, 0.06 * number as f32 - 0.6);
        read(&frame).is_some_and(|text| text == claim.text())
    };
    // A camera gives many frames a second; most must be read, not each.
    assert!((0..20).filter(|&number| is_read(number)).count() >= 17);
}

#[test]
fn claims_are_read_from_cameras_mounted_any_way() {
    let claim = issue(&ClaimIssuer::generate().unwrap());
    for rotation in Rotation::ALL {
        let frame = seen_by_camera(&claim, 3.5, 0.1).with_rotation(rotation);
        assert_eq!(read(&frame).as_deref(), Some(claim.text()), "{rotation:?}");
    }
}

#[test]
fn a_frame_without_a_claim_gives_none() {
    let grey = Frame::new(PixelFormat::Gray8, 320, 240, 320, vec![128; 320 * 240]).unwrap();
    assert_eq!(read(&grey), None);
    let noise: Vec<u8> = (0..320 * 240_u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    assert_eq!(read(&Frame::new(PixelFormat::Gray8, 320, 240, 320, noise).unwrap()), None);
}

#[test]
fn a_claim_is_drawn_as_svg_and_for_terminals() {
    let claim = issue(&ClaimIssuer::generate().unwrap());
    assert!(claim.to_svg().unwrap().contains("<svg"));
    let terminal = claim.to_terminal().unwrap();
    let widths: Vec<_> = terminal.lines().map(|line| line.chars().count()).collect();
    // Four light modules on each side of a code of 17 + 4 × version modules, two rows a line.
    assert!(widths.iter().all(|&width| width == widths[0] && (width - 8 - 17) % 4 == 0));
    assert_eq!(widths.len(), widths[0].div_ceil(2));
    assert!(terminal.lines().next().unwrap().chars().all(|c| c == '█'));
}

#[test]
fn a_claim_with_any_bit_changed_is_refused() {
    let issuer = ClaimIssuer::generate().unwrap();
    let text = issue(&issuer).text().to_owned();
    let (prefix, digits) = text.split_once(':').unwrap();
    let bytes = BASE32_NOPAD.decode(digits.as_bytes()).unwrap();
    for bit in 0..8 * bytes.len() {
        let mut altered = bytes.clone();
        altered[bit / 8] ^= 1 << (bit % 8);
        let altered = format!("{prefix}:{}", BASE32_NOPAD.encode(&altered));
        let refusal = issuer.verifier().verify(&altered, REGISTER, &port("gongbei"), now()).unwrap_err();
        let in_key_id = bit < 64;
        let expected: &[_] =
            if in_key_id { &[ClaimRefusal::UnknownIssuer] } else { &[ClaimRefusal::Forged, ClaimRefusal::Malformed] };
        assert!(expected.contains(&refusal), "bit {bit}: {refusal:?}");
    }
}

#[test]
fn a_claim_cut_or_lengthened_is_refused() {
    let issuer = ClaimIssuer::generate().unwrap();
    let text = issue(&issuer).text().to_owned();
    let refused = |text: &str| issuer.verifier().verify(text, REGISTER, &port("gongbei"), now()).unwrap_err();
    for end in 0..text.len() {
        let refusal = refused(&text[..end]);
        assert!(matches!(refusal, ClaimRefusal::Malformed | ClaimRefusal::Forged), "cut at {end}: {refusal:?}");
    }
    assert_eq!(refused(&format!("{text}AAAAAAAA")), ClaimRefusal::Malformed);
    assert_eq!(refused(&format!("{text}{}", "A".repeat(100_000))), ClaimRefusal::Malformed);
    assert_eq!(refused(&text.to_lowercase()), ClaimRefusal::Malformed);
}

#[test]
fn a_claim_of_an_issuer_that_is_not_trusted_is_refused_until_it_is() {
    let (issuer, other) = (ClaimIssuer::generate().unwrap(), ClaimIssuer::generate().unwrap());
    let text = issue(&issuer).text().to_owned();
    let mut verifier = other.verifier();
    assert_eq!(verifier.verify(&text, REGISTER, &port("gongbei"), now()), Err(ClaimRefusal::UnknownIssuer));
    assert_eq!(
        ClaimVerifier::default().verify(&text, REGISTER, &port("gongbei"), now()),
        Err(ClaimRefusal::UnknownIssuer)
    );
    verifier.trust_pem(&issuer.public_pem().unwrap()).unwrap();
    assert!(verifier.verify(&text, REGISTER, &port("gongbei"), now()).is_ok());
}

#[test]
fn a_claim_is_good_from_its_issue_until_its_expiry_and_no_longer() {
    let issuer = ClaimIssuer::generate().unwrap();
    let claim = issue(&issuer);
    let at = |seconds| {
        let time = now().checked_add(SignedDuration::from_secs(seconds)).unwrap();
        issuer.verifier().verify(claim.text(), REGISTER, &port("gongbei"), time).map(|_: Claim| ())
    };
    // Thirty seconds for a clock that runs behind the issuer's.
    assert_eq!(at(-31), Err(ClaimRefusal::NotYetValid));
    assert_eq!(at(-30), Ok(()));
    assert_eq!(at(59), Ok(()));
    assert_eq!(at(60), Err(ClaimRefusal::Expired));
    assert_eq!(at(1_000_000), Err(ClaimRefusal::Expired));
}

#[test]
fn a_claim_for_other_ports_is_refused() {
    let issuer = ClaimIssuer::generate().unwrap();
    let claim = issue(&issuer);
    assert_eq!(
        issuer.verifier().verify(claim.text(), REGISTER, &port("shenzhen-bay"), now()),
        Err(ClaimRefusal::OtherPort)
    );
    let both = [port("gongbei"), port("shenzhen-bay")];
    let claim = issuer.issue(REGISTER, SubjectId(7), &both, now(), Duration::from_mins(1)).unwrap();
    assert!(both.iter().all(|port| issuer.verifier().verify(claim.text(), REGISTER, port, now()).is_ok()));
}

#[test]
fn a_claim_is_good_in_its_own_register_alone() {
    let issuer = ClaimIssuer::generate().unwrap();
    let claim = issue(&issuer);
    assert_eq!(claim.claim().register, REGISTER);
    let elsewhere = issuer.verifier().verify(claim.text(), [2; 16], &port("gongbei"), now());
    assert_eq!(elsewhere, Err(ClaimRefusal::OtherRegister));
}

#[test]
fn two_claims_are_never_the_same() {
    let issuer = ClaimIssuer::generate().unwrap();
    assert_ne!(issue(&issuer).claim().nonce, issue(&issuer).claim().nonce);
}

#[test]
fn claims_that_would_live_too_long_or_be_good_nowhere_are_not_issued() {
    let issuer = ClaimIssuer::generate().unwrap();
    let refused = |ports: &[PortId], seconds| {
        issuer.issue(REGISTER, SubjectId(7), ports, now(), Duration::from_secs(seconds)).unwrap_err()
    };
    assert_eq!(refused(&[], 60), IssueError::Ports { ports: 0 });
    assert_eq!(refused(&vec![port("gongbei"); 9], 60), IssueError::Ports { ports: 9 });
    assert!(matches!(refused(&[port("gongbei")], 0), IssueError::Lifetime { .. }));
    assert!(matches!(refused(&[port("gongbei")], 601), IssueError::Lifetime { .. }));
    assert!(issuer.issue(REGISTER, SubjectId(7), &[port("gongbei")], now(), Duration::from_mins(10)).is_ok());
}

#[test]
fn keys_are_those_that_openssl_writes() {
    // RFC 8410, section 10.3: the example private key and its public key (section 10.1).
    let private = "-----BEGIN PRIVATE KEY-----\n\
        MC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC\n\
        -----END PRIVATE KEY-----\n";
    let public = "-----BEGIN PUBLIC KEY-----\n\
        MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n\
        -----END PUBLIC KEY-----\n";
    let issuer = ClaimIssuer::from_pem(private).unwrap();
    assert_eq!(issuer.public_pem().unwrap(), public);
    let again = ClaimIssuer::from_pem(&issuer.to_pem().unwrap()).unwrap();
    assert!(again.verifier().verify(issue(&issuer).text(), REGISTER, &port("gongbei"), now()).is_ok());
    assert_eq!(ClaimIssuer::from_pem(public).unwrap_err(), ClaimKeyError::NotPrivate);
    assert_eq!(ClaimVerifier::default().trust_pem(private).unwrap_err(), ClaimKeyError::NotPublic);
}

#[test]
fn a_key_is_not_shown_by_debug() {
    let issuer = ClaimIssuer::generate().unwrap();
    assert_eq!(format!("{issuer:?}"), "ClaimIssuer { .. }");
}

/// A phone before a camera: `pixels` for a module's side, turned by `angle` (radians), each pixel the mean of 3 × 3 points.
fn seen_by_camera(claim: &SignedClaim, pixels: f32, angle: f32) -> Frame<'static> {
    let code = image::load_from_memory(&claim.to_png(1).unwrap()).unwrap().to_luma8();
    let (width, height) = (640_u32, 480_u32);
    let (sin, cos) = angle.sin_cos();
    let half = code.width() as f32 / 2.0;
    let seen = |x: f32, y: f32| {
        let (x, y) = ((x - 330.3) / pixels, (y - 236.6) / pixels);
        let (u, v) = (cos * x + sin * y + half, cos * y - sin * x + half);
        let inside = u >= 0.0 && v >= 0.0 && u < 2.0 * half && v < 2.0 * half;
        if inside { u32::from(code.get_pixel(u as u32, v as u32).0[0]) } else { 120 }
    };
    let thirds = [-0.33, 0.0, 0.33];
    let pixel = |x: u32, y: u32| {
        let points = thirds.iter().flat_map(|dx| thirds.iter().map(move |dy| (dx, dy)));
        40 + (points.map(|(dx, dy)| seen(x as f32 + dx, y as f32 + dy)).sum::<u32>() / 18) as u8
    };
    let pixels: Vec<u8> = (0..height).flat_map(|y| (0..width).map(move |x| (x, y))).map(|(x, y)| pixel(x, y)).collect();
    Frame::new(PixelFormat::Gray8, width, height, width as usize, pixels).unwrap()
}

/// With far more time than it takes.
fn read(frame: &Frame<'_>) -> Option<String> {
    read_claim_text(frame, &mut ReadBudget::until(Instant::now() + Duration::from_mins(10))).unwrap()
}

fn issue(issuer: &ClaimIssuer) -> SignedClaim {
    issuer.issue(REGISTER, SubjectId(7), &[port("gongbei")], now(), Duration::from_mins(1)).unwrap()
}

fn now() -> Timestamp {
    "2025-03-10T04:00:00Z".parse().unwrap()
}

fn port(id: &str) -> PortId {
    id.parse().unwrap()
}
