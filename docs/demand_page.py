def write_page(*a):
    print("no page yet")
