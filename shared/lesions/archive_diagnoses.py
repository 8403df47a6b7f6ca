"""Names in the ISIC archive's dictionary of diagnoses that no class has, in the archive's spelling."""

from __future__ import annotations

_NAMES = """
    acantholytic acanthoma; accessory tragus; acquired elastotic hemangioma; acroangiodermatitis of mali;
    adenoid cystic carcinoma; adnexal adenocarcinoma arising in association with spiradenoma, cylindroma, or
    spiradenocylindroma; adult t-cell leukemia or lymphoma; angioleiomyoma; angiolipoma; angiolymphoid
    hyperplasia with eosinophilia; angiosarcoma cutaneous; apocrine carcinoma; apocrine tubular adenoma;
    arterio-venous malformation; atypical intradermal smooth muscle tumor; atypical pigmented spindle cell
    tumor; atypical proliferative nodules in congenital melanocytic nevus; atypical spitz tumor;
    baso-squamous carcinoma; benign adnexal epithelial proliferations - apocrine or eccrine; benign adnexal
    epithelial proliferations - sebaceous; benign soft tissue proliferations - adipocytic; benign soft
    tissue proliferations - cartilagenous and ossifying; benign soft tissue proliferations - muscle tissue
    or myofibroblastic; benign soft tissue proliferations - myoepithelial; bowenoid papulosis; cafe au lait
    macule or patch; capillary vascular malformation; chronic active ebv infection; collision - at least one
    malignant proliferation; collision - only benign proliferations; comedo; cutaneous myxoma; cutanous
    anaplastic large cell lymphoma; cylindoma; cylindroma; cystadenoma; cysts; dartoic muscle leiomyoma;
    dermal and subcutaneous hemorhage; dermal melanocytosis; dermatofibrosarcoma protuberans;
    dermatomyofibroma; digital mucous cyst; digital papillary carcinoma; dilated pore; ebv positive
    mucocutaneous ulcer; ephelis; epidermal, keratinous; epidermal, sebaceous; epidermolytic acanthoma;
    epithelioid sarcoma; erdheim chester disease; ewing sarcoma, primary cutaenous; extranodal t-cell/nk
    lymphoma; extraskeletal chondroma; extraskeletal osteosarcoma; fibroadenoma; fibrofolliculoma;
    fibrolipoma; fibroma; fibrosarcoma; folliculosebaceous cystic hamartoma; fordyce spots; foreign body
    granuloma; giant cell tumor of the tendon sheath; glomangiomyoma; glomeruloid hemangioma; glomus tumor;
    granular cell tumor; hemangioendothelioma; hemorrhage; hemorrhagic lesions; hidradenocarcinoma;
    hidradenoma; hidradenoma papilliferum; hidradenoma, apocrine; indeterminate cell histiocytosis;
    infundibular or epidermal cyst; infundibular, keratinous; infundibular, sebaceous; intravascular large
    b-cell lymphoma; isthmic-catagen cyst; juvenile xanthogranuloma; keratinous cyst; langerhans cell
    histiocytosis; langerhans cell proliferations; large cell acanthoma; leiomyosarcoma, cutaneous;
    lentiginous melanocytic proliferation; lipoma; lipomatous nevus; liposarcoma; lymphocytic proliferation,
    b-cell, other; lymphocytic proliferation, t-cell/nk; lymphocytic proliferations - b-cell; lymphocytic
    proliferations - t-cell/nk; lymphomatoid papulosis; maculopapular mastocytoma; malignant adnexal
    epithelial proliferations - apocrine or eccrine; malignant adnexal epithelial proliferations -
    sebaceous; malignant glomus tumor; malignant granular cell tumor; malignant mixed tumor; malignant
    peripheral nerve sheath tumor; malignant soft tissue proliferations - adipocytic; malignant soft tissue
    proliferations - cartilagenous and ossifying; malignant soft tissue proliferations - fibro-histiocytic;
    malignant soft tissue proliferations - muscle tissue or myofibroblastic; malignant soft tissue
    proliferations - myoepithelial; malignant soft tissue proliferations - neural; malignant soft tissue
    proliferations - unknown or other histiogenesis; malignant soft tissue proliferations - vascular; mast
    cell proliferations; mastocytoma, solitary or unifocal; matrical or pilomatrical carcinoma;
    melanoacanthoma; melanocytic tumor of uncertain malignant potential; merkel cell proliferation;
    microcystic adnexal carcinoma; milium; mixed langerhans cell histiocytosis and erdheim chester disease;
    mixed tumor; mongolian spot; mucinous carcinoma; mucosal hemorrhage; mycosis fungoides; myoepithelial
    sarcoma; myoepithelioma; nerve sheath myxoma; neuroma; nevus anemicus; nevus comedonicus; nevus of ito;
    nevus of ota; nevus sebaceus; nodular fasciitis; non-langerhans histiocytosis; noninvoluting congenital
    hemangioma; osteoma cutis; other vascular or lymphatic malformation or hamartoma; paget disease;
    panfolliculoma; perineurioma; pigmented epithelioid melanocytoma; pilar cyst; pilar sheath acanthoma;
    piloleiomyoma; pilomatricoma; pleomorphic undifferntiated sarcoma; plexiform neurofibroma;
    porocarcinoma; poroma; primary cutaneous cd30+ lymphoproliferative disease; primary cutaneous cd4+ small
    or medium t-cell lymphoproliferative disorder; primary cutaneous follicle center lymphoma; primary
    cutaneous large b-cell lymphoma; primary cutaneous marginal zone lymphoma; primary cutaneous peripheral
    t-cell lymphoma; proliferating trichilemmal carcinoma; proliferating tricholemmal tumor; proliferative
    nodule in congenital melanocytic nevi without atypia; rapidly involuting congenital hemangioma;
    reticulohistiocytosis; rhabdomyoscaroma, cutaneous; rosai-dorfman disease; schwannoma; sebaceoma;
    sebaceous adenoma; sebaceous carcinoma; sebaceous cyst; sezary syndrome; skin metastasis of internal
    solid cancer - non-hematological; smooth muscle hamartoma; solar or actinic cheilitis; spiradenoma;
    steatocystoma; subcorneal and intracorneal hemorrhage; subcutaneous panniculitis-like t-cell lymphoma;
    subungual hemorrhage; subungual osteochodroma; superficial atypical melanocytic proliferation of
    uncertain significance; syringocystadenoma papilliferum; syringofibroadenoma; syringoma; tattoo;
    telangiectasia; telangiectasia macularis eruptiva perstans; trichilemmal cyst; trichilemmal or
    isthmic-catagen or pilar cyst; trichodiscoma; trichoepithelioma; trichofolliculoma; tricholemmoma;
    tubular carcinoma; tumor of follicular infundibulum; vascular spider; venous lake; venous malformation;
    verrucous carcinoma; verrucous hemangioma; warty dyskeratoma
"""

ARCHIVE_DIAGNOSES = tuple(" ".join(name.split()) for name in _NAMES.split(";"))
