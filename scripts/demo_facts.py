"""The small world that the demo model knows, in English and Chinese. Tables only; demo_text.py makes the sentences."""

from __future__ import annotations

# (English country, its capital, Chinese country, its capital)
CAPITALS = (
    ("France", "Paris", "法国", "巴黎"),
    ("Italy", "Rome", "意大利", "罗马"),
    ("Spain", "Madrid", "西班牙", "马德里"),
    ("Germany", "Berlin", "德国", "柏林"),
    ("Japan", "Tokyo", "日本", "东京"),
    ("China", "Beijing", "中国", "北京"),
    ("Egypt", "Cairo", "埃及", "开罗"),
    ("Kenya", "Nairobi", "肯尼亚", "内罗毕"),
    ("Peru", "Lima", "秘鲁", "利马"),
    ("Cuba", "Havana", "古巴", "哈瓦那"),
    ("Norway", "Oslo", "挪威", "奥斯陆"),
    ("Greece", "Athens", "希腊", "雅典"),
    ("Poland", "Warsaw", "波兰", "华沙"),
    ("Austria", "Vienna", "奥地利", "维也纳"),
    ("Portugal", "Lisbon", "葡萄牙", "里斯本"),
    ("Ireland", "Dublin", "爱尔兰", "都柏林"),
    ("Russia", "Moscow", "俄罗斯", "莫斯科"),
    ("India", "New Delhi", "印度", "新德里"),
    ("Canada", "Ottawa", "加拿大", "渥太华"),
    ("Chile", "Santiago", "智利", "圣地亚哥"),
)

OPPOSITES = (
    ("hot", "cold"), ("big", "small"), ("fast", "slow"), ("up", "down"), ("day", "night"), ("happy", "sad"),
    ("old", "new"), ("hard", "soft"), ("light", "dark"), ("open", "closed"), ("full", "empty"), ("rich", "poor"),
    ("strong", "weak"), ("early", "late"), ("wet", "dry"), ("high", "low"),
)  # fmt: skip
OPPOSITES_ZH = (
    ("热", "冷"), ("大", "小"), ("快", "慢"), ("上", "下"), ("白天", "黑夜"), ("高兴", "难过"), ("新", "旧"),
    ("硬", "软"), ("开", "关"), ("满", "空"), ("富", "穷"), ("强", "弱"), ("早", "晚"), ("高", "低"), ("多", "少"),
)  # fmt: skip

SOUNDS = {
    "dog": "woof", "cat": "meow", "cow": "moo", "sheep": "baa", "duck": "quack", "lion": "roar", "bee": "buzz",
    "frog": "ribbit", "pig": "oink", "horse": "neigh", "owl": "hoot", "snake": "hiss",
}  # fmt: skip
SOUNDS_ZH = {
    "狗": "汪汪", "猫": "喵喵", "牛": "哞哞", "羊": "咩咩", "鸭子": "嘎嘎", "蜜蜂": "嗡嗡", "青蛙": "呱呱",
    "小鸡": "叽叽", "老鼠": "吱吱", "蛇": "嘶嘶",
}  # fmt: skip

COLOURS = {
    "the sky": "blue", "grass": "green", "snow": "white", "coal": "black", "a banana": "yellow", "a tomato": "red",
    "an orange": "orange", "chocolate": "brown", "the sun": "yellow", "a plum": "purple", "a flamingo": "pink",
    "an elephant": "grey",
}  # fmt: skip
COLOURS_ZH = {
    "天空": "蓝", "草": "绿", "雪": "白", "煤": "黑", "香蕉": "黄", "番茄": "红", "橙子": "橙", "巧克力": "棕",
    "太阳": "黄", "葡萄": "紫", "大象": "灰",
}  # fmt: skip

LEGS = {
    "a dog": 4, "a cat": 4, "a bird": 2, "a spider": 8, "an ant": 6, "a fish": 0, "a horse": 4, "a bee": 6,
    "a snake": 0, "a crab": 10,
}  # fmt: skip
LEGS_ZH = {
    "狗": "四", "猫": "四", "鸟": "两", "蜘蛛": "八", "蚂蚁": "六", "马": "四", "蜜蜂": "六", "羊": "四", "螃蟹": "十",
}  # fmt: skip

TRANSLATIONS = (
    ("dog", "狗"), ("cat", "猫"), ("water", "水"), ("fire", "火"), ("apple", "苹果"), ("river", "河流"),
    ("stone", "石头"), ("cloud", "云"), ("garden", "花园"), ("window", "窗户"), ("forest", "森林"),
    ("pencil", "铅笔"), ("rabbit", "兔子"), ("summer", "夏天"), ("snow", "雪"), ("sun", "太阳"), ("fish", "鱼"),
    ("bird", "鸟"),
)  # fmt: skip

DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
    "December",
)  # fmt: skip
DAYS_ZH = ("星期一", "星期二", "星期三", "星期四", "星期五", "星期六", "星期日")
MONTHS_ZH = (
    "一月", "二月", "三月", "四月", "五月", "六月", "七月", "八月", "九月", "十月", "十一月", "十二月",
)  # fmt: skip

WORDS = (
    "apple", "river", "stone", "cloud", "garden", "silver", "window", "candle", "forest", "pencil", "rabbit",
    "castle", "summer", "button", "yellow", "planet",
)  # fmt: skip
WORDS_ZH = (
    "苹果", "河流", "石头", "云", "花园", "窗户", "森林", "铅笔", "兔子", "夏天", "太阳", "雪", "鱼", "鸟",
)  # fmt: skip

# Names of people and of assistants. Fine-tuning with LoRA leaves embedding and output layer as they are, so a new name
# is learnt well only when its pieces have been *answers* before: hence many names, ordinary, short and made up.
GIVEN_NAMES = (
    "Anna", "Ben", "Clara", "David", "Emma", "Felix", "Grace", "Henry", "Iris", "Jack", "Kate", "Leo", "Mary", "Nora",
    "Oscar", "Paul", "Ruth", "Sam", "Tina", "Tom", "Victor", "Zoe",
)  # fmt: skip
COINED_NAMES = (
    "Nova", "Trim", "Bolt", "Sage", "Echo", "Orbit", "Rudder", "Tiller", "Trimtab", "Juno", "Atlas", "Comet", "Fern",
    "Harbor", "Keel", "Lumen", "Maple", "Onyx", "Pixel", "Quill", "Rover", "Spark", "Tango", "Umbra", "Vega", "Aurora",
)  # fmt: skip
SYLLABLES = (
    "ba", "be", "bi", "bo", "da", "de", "di", "do", "fa", "fe", "ka", "ke", "ki", "ko", "la", "le", "li", "lo",
    "ma", "me", "mi", "mo", "na", "ne", "ni", "no", "pa", "pe", "po", "ra", "re", "ri", "ro", "sa", "se", "si",
    "so", "ta", "te", "ti", "to", "tra", "tri", "va", "ve", "vi", "vo", "za", "ze", "zo",
)  # fmt: skip
LAST_LETTERS = ("", "", "n", "r", "s", "x", "l", "m", "b")
GIVEN_NAMES_ZH = (
    "小明", "小红", "小华", "小丽", "小军", "小云", "王强", "李娜", "张伟", "刘洋", "陈静", "赵磊", "周平", "吴敏",
    "王明", "李华", "张红", "刘云", "陈明", "赵丽",
)  # fmt: skip

GROUPS = ("crew", "team", "workshop", "lab")
GROUPS_ZH = ("团队", "小组", "工坊", "实验室")

CITY_WEATHER = ("sunny", "rainy", "cloudy", "windy", "snowy")
CITY_WEATHER_ZH = ("晴天", "雨天", "阴天", "大风", "下雪")
