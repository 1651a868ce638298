//! The functions that exist and are not evaluated: what they return depends on chance, on time, on a
//! type that is not known here, or on Argo CD's version.

use super::{Body, Function};

pub(super) const FUNCTIONS: &[Function] = &[
    // Time.
    Function::with_body("ago", Body::Undecided),
    Function::with_body("date", Body::Undecided),
    Function::with_body("date_in_zone", Body::Undecided),
    Function::with_body("date_modify", Body::Undecided),
    Function::with_body("dateInZone", Body::Undecided),
    Function::with_body("dateModify", Body::Undecided),
    Function::with_body("duration", Body::Undecided),
    Function::with_body("durationRound", Body::Undecided),
    Function::with_body("htmlDate", Body::Undecided),
    Function::with_body("htmlDateInZone", Body::Undecided),
    Function::with_body("must_date_modify", Body::Undecided),
    Function::with_body("mustDateModify", Body::Undecided),
    Function::with_body("mustToDate", Body::Undecided),
    Function::with_body("now", Body::Undecided),
    Function::with_body("toDate", Body::Undecided),
    Function::with_body("unixEpoch", Body::Undecided),
    // Chance.
    Function::with_body("randAlpha", Body::Undecided),
    Function::with_body("randAlphaNum", Body::Undecided),
    Function::with_body("randAscii", Body::Undecided),
    Function::with_body("randBytes", Body::Undecided),
    Function::with_body("randInt", Body::Undecided),
    Function::with_body("randNumeric", Body::Undecided),
    Function::with_body("shuffle", Body::Undecided),
    Function::with_body("uuidv4", Body::Undecided),
    // Cryptography; most of it starts from chance too.
    Function::with_body("bcrypt", Body::Undecided),
    Function::with_body("buildCustomCert", Body::Undecided),
    Function::with_body("decryptAES", Body::Undecided),
    Function::with_body("derivePassword", Body::Undecided),
    Function::with_body("encryptAES", Body::Undecided),
    Function::with_body("genCA", Body::Undecided),
    Function::with_body("genCAWithKey", Body::Undecided),
    Function::with_body("genPrivateKey", Body::Undecided),
    Function::with_body("genSelfSignedCert", Body::Undecided),
    Function::with_body("genSelfSignedCertWithKey", Body::Undecided),
    Function::with_body("genSignedCert", Body::Undecided),
    Function::with_body("genSignedCertWithKey", Body::Undecided),
    Function::with_body("htpasswd", Body::Undecided),
    // Argo CD has it since 3.6 (applicationset/utils/template_functions.go, `tplFun`); before, it is not defined.
    Function::with_body("tpl", Body::Undecided),
];
